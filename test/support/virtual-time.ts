import { VirtualTimeScheduler } from 'rxjs';

/** A scheduler whose time passes only when a test says so, in milliseconds. */
export class VirtualTime extends VirtualTimeScheduler {
  constructor() {
    super(undefined, Infinity);
  }

  /** Runs all that is due up to this time; then it is this time. */
  runTo(atMs: number): void {
    this.maxFrames = atMs;
    this.flush();
    this.frame = atMs;
    this.maxFrames = Infinity;
  }

  advance(ms: number): void {
    this.runTo(this.frame + ms);
  }
}
