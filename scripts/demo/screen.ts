import { styleText } from 'node:util';

const COLUMNS = 80;
const SPEAKERS = { etcd: 'yellow', consumer: 'cyan', a: 'blue', b: 'magenta', c: 'green' } as const;
const COLORS: Readonly<Record<string, 'green' | 'red' | (typeof SPEAKERS)[keyof typeof SPEAKERS] | undefined>> = {
  ...SPEAKERS,
  '✓': 'green',
  '✗': 'red',
};

/** The demo's output: what happens, line by line; and at the bottom of a terminal, how things stand. */
export class Screen {
  readonly failures: string[] = [];
  /** Named while nothing moves. */
  waiting = 'the next event';
  /** How things stand, one line each. */
  standing: () => string[] = () => [];
  readonly #startMs = performance.now();
  #saidMs = 0;
  #drawn = 0;
  readonly #timer = setInterval(() => {
    if (process.stdout.isTTY) this.#print();
    else if (this.nowMs() - this.#saidMs > 2500) this.say('', `… waiting for ${this.waiting}`);
  }, 250);

  nowMs(): number {
    return Math.round(performance.now() - this.#startMs);
  }

  act(title: string): void {
    this.#print('', styleText('bold', title));
  }

  say(who: string, what: string): void {
    this.#saidMs = this.nowMs();
    const color = COLORS[who] ?? 'dim';
    const [first = '', ...more] = wrapped(printable(what), COLUMNS - 21);
    const time = styleText('dim', `${String(this.nowMs()).padStart(6)} ms  `);
    this.#print(time + styleText(color, who.padEnd(10)) + first, ...more.map((line) => ' '.repeat(21) + line));
  }

  /** Says whether something holds, and remembers when it does not. */
  check(holds: boolean, what: string): void {
    if (!holds) this.failures.push(what);
    this.say(holds ? '✓' : '✗', what);
  }

  end(): void {
    clearInterval(this.#timer);
    this.standing = () => [];
    const seconds = (this.nowMs() / 1000).toFixed(1);
    if (this.failures.length === 0) this.#print('', `all checks passed (${seconds} s)`);
    else this.#print('', 'failed:', ...this.failures.map((what) => `- ${printable(what)}`));
  }

  /** Lines, and the terminal's bottom again below them. */
  #print(...lines: string[]): void {
    const { isTTY } = process.stdout;
    const bottom = isTTY ? this.standing().map((line) => styleText('dim', printable(line).slice(0, COLUMNS - 1))) : [];
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A\x1b[J` : '';
    const text = [...lines, ...bottom].map((line) => `${line}\n`).join('');
    process.stdout.write(up + text);
    this.#drawn = bottom.length;
  }
}

/** Keys, values and messages are anybody's: control characters are shown, not obeyed. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** In columns: a Chinese character takes two. */
function width(text: string): number {
  return text.length + (text.match(/\p{Script=Han}/gu)?.length ?? 0);
}

function wrapped(text: string, columns: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)}${lines.at(-1) === '' ? '' : ' '}${word}`;
    if (width(line) <= columns || lines.at(-1) === '') lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines;
}
