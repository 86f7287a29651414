/** Plays given choices, and after the last one lets everybody go on as far as he can. */
import { type Chooser, DIES, type Execution } from './execution.js';
import { chooseOn } from './exhaustive.js';

export class Replay implements Chooser {
  /** Why a choice could not be followed: then the default was taken. */
  misfit: string | null = null;

  constructor(readonly choices: readonly number[]) {}

  choose(run: Execution): number {
    const at = run.choices.length;
    if (at >= this.choices.length) return chooseOn(run);
    const choice = this.choices[at];
    const index = choice & (DIES - 1);
    if ((run.enabled & (1 << index)) === 0) return this.giveUp(run, `thread ${index} cannot take step ${at + 1}`);
    if ((choice & DIES) !== 0 && !run.mayDie(index))
      return this.giveUp(run, `thread ${index} cannot die at step ${at + 1}`);
    return choice;
  }

  private giveUp(run: Execution, why: string): number {
    this.misfit ??= why;
    return chooseOn(run);
  }
}
