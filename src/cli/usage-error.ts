/** What the user typed makes no sense: the command ends with exit code 2, and has changed nothing. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
