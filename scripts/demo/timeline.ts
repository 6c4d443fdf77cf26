import { styleText } from 'node:util';

/** What happens, line by line: milliseconds since the start, who, what. */
export interface Timeline {
  /** Begins an act. */
  act(title: string): void;
  say(who: string, what: string): void;
  /** Says whether something was so, and remembers when it was not. */
  check(holds: boolean, what: string): void;
  nowMs(): number;
  /** What was not so. */
  readonly failures: readonly string[];
}

type Style = Parameters<typeof styleText>[0];

/** A timeline on the standard output, in colour where there is somebody to see it. */
export function startTimeline(): Timeline {
  const startMs = performance.now();
  const failures: string[] = [];
  const coloured = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
  const style = (format: Style, text: string): string => (coloured ? styleText(format, text) : text);
  const nowMs = (): number => Math.round(performance.now() - startMs);
  const line = (who: string, what: string): void => {
    console.log(
      `${style('dim', `${String(nowMs()).padStart(6)} ms`)}  ${who}${' '.repeat(Math.max(1, 10 - who.length))}${what}`,
    );
  };
  return {
    failures,
    nowMs,
    act(title) {
      console.log(`\n${style('bold', title)}`);
    },
    say(who, what) {
      line(who, what);
    },
    check(holds, what) {
      if (!holds) failures.push(what);
      line(holds ? style('green', '✓') : style('red', '✗'), holds ? what : style('red', what));
    },
  };
}
