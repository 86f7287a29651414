/** Shows how far a benchmark is, on standard error: a bar on a terminal, a line per finished step otherwise. */
import { Presets, SingleBar } from 'cli-progress';

export class Monitor {
  private bar: SingleBar | null = null;
  private label = '';
  private total = 0;
  private prefix = '';

  constructor(private readonly stream: NodeJS.WriteStream = process.stderr) {}

  /** What the steps from here on belong to. */
  setPrefix(prefix: string): void {
    this.prefix = prefix;
  }

  /** A step of `total` units begins. */
  begin(label: string, total: number): void {
    this.label = this.prefix === '' ? label : `${this.prefix}: ${label}`;
    this.total = total;
    if (!this.stream.isTTY || total <= 0) return;
    this.bar = new SingleBar(
      { format: '{label} {bar} {percentage}%', stream: this.stream, clearOnComplete: true, hideCursor: true },
      Presets.shades_classic,
    );
    this.bar.start(total, 0, { label: this.label });
  }

  reach(done: number): void {
    this.bar?.update(Math.min(done, this.total), { label: this.label });
  }

  end(): void {
    this.stop();
    if (!this.stream.isTTY) this.say(`${this.label}: done`);
  }

  /** Takes the bar away; safe at any time. */
  stop(): void {
    this.bar?.stop();
    this.bar = null;
  }

  say(text: string): void {
    this.stream.write(`${text}\n`);
  }
}
