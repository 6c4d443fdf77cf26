import { Etcd3 } from 'etcd3';
import { Subject, map, of, range, take, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  changes,
  distinctSnapshots,
  holdRemovals,
  json,
  mergeSources$,
  protectEmpty,
  remember,
  settle,
  snapshots,
  watchEvents$,
  watchKey$,
  watchPrefix$,
  watchPrefixes$,
  watchPrefixState$,
  withinStaleness,
} from 'rx-etcd';
import { optionsArgument } from '../src/arguments.ts';

const store = { load: () => Promise.resolve(undefined), save: () => Promise.resolve() };
const etcd = new Etcd3({ hosts: ['http://127.0.0.1:1'] });

// Each public function of discovery and of steadiness that takes options, with one of its options.
const calls: readonly (readonly [name: string, option: string, call: (options: never) => unknown])[] = [
  ['watchPrefix$', 'maxRetries', (options) => watchPrefix$(etcd, 'a/', options)],
  ['watchPrefixState$', 'codec', (options) => watchPrefixState$(etcd, 'a/', options)],
  ['watchPrefixes$', 'onRejected', (options) => watchPrefixes$(etcd, ['a/', 'b/'], options)],
  ['watchKey$', 'scheduler', (options) => watchKey$(etcd, 'a', options)],
  ['watchEvents$', 'fromRevision', (options) => watchEvents$(etcd, 'a/', options)],
  ['changes', 'equals', (options) => changes(options)],
  ['distinctSnapshots', 'equals', (options) => distinctSnapshots(options)],
  ['holdRemovals', 'scheduler', (options) => holdRemovals(1, options)],
  ['protectEmpty', 'floor', (options) => protectEmpty(1, options)],
  ['settle', 'maxDelayMs', (options) => settle(1, options)],
  ['withinStaleness', 'fallback', (options) => withinStaleness(1, options)],
  ['mergeSources$', 'partial', (options) => mergeSources$({ a: of() }, options)],
  ['remember', 'saveEveryMs', (options) => remember(store, options)],
];

describe.each(calls)('%s', (_name, option, call) => {
  it.each([null, 7, 'text', [], () => 0])('refuses %j for its options, and names them', (options) => {
    expect(() => call(options as never)).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: expect.stringContaining('options: expected') as string,
      }),
    );
  });

  it('refuses a misspelt option, and names the one that was meant', () => {
    const misspelt = `${option.slice(0, 2)}${option.slice(3)}`;
    expect(() => call({ [misspelt]: undefined } as never)).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: `options.${misspelt}: there is no such option; did you mean ${option}?`,
      }),
    );
  });

  it.each([null, Symbol('odd'), [], Object.create(null) as object])(
    'refuses %o for an option, and names it',
    (value) => {
      if (option === 'fallback' && Array.isArray(value)) return;
      expect(() => call({ [option]: value } as never)).toThrow(
        expect.objectContaining({
          code: 'invalid-argument',
          message: expect.stringContaining(`options.${option}: expected`) as string,
        }),
      );
    },
  );

  it('takes no options, and undefined for an option', () => {
    expect(() => call(undefined as never)).not.toThrow();
    expect(() => call({ [option]: undefined } as never)).not.toThrow();
  });
});

describe('options', () => {
  it('names what there is when nothing is near, and stays short whatever the name', () => {
    const message = (name: string): string => {
      try {
        optionsArgument('options', { [name]: 1 }, { codec: true, maxRetries: true } as never);
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(message('colour')).toBe('options.colour: there is no such option; known are codec, maxRetries');
    expect(message('retries')).toMatch('did you mean maxRetries?');
    expect(message('MAXRETRIES')).toMatch('did you mean maxRetries?');
    expect(message('\u001b[2J'.repeat(100_000)).length).toBeLessThan(1000);
    expect(message('\u001b[2J')).not.toContain('\u001b');
  });

  it('a codec passed in place of the options is told as such', () => {
    expect(() => watchPrefix$(etcd, 'a/', json() as never)).toThrow('options.encode: there is no such option');
  });
});

const operators: readonly (readonly [name: string, operator: (source: Observable<never>) => Observable<unknown>])[] = [
  ['changes', changes()],
  ['distinctSnapshots', distinctSnapshots()],
  ['holdRemovals', holdRemovals(1)],
  ['protectEmpty', protectEmpty(1)],
  ['settle', settle(1)],
  ['withinStaleness', withinStaleness(1)],
  ['remember', remember(store)],
  ['snapshots', snapshots()],
  ['mergeSources$', (source) => mergeSources$({ a: source })],
];

describe.each(operators)('%s', (name, operator) => {
  it.each([undefined, null, 7, 'text', [], new Set(), { status: 'live' }, { status: 'odd', snapshot: new Map() }])(
    'ends with an error that names it when its stream gives %j, which is neither state nor Map',
    (value) => {
      const source = new Subject<never>();
      const errors: unknown[] = [];
      operator(source).subscribe({ error: (error: unknown) => errors.push(error) });
      source.next(value as never);
      expect(errors).toEqual([
        expect.objectContaining({
          code: 'invalid-argument',
          message: expect.stringContaining(`the source of ${name}`) as string,
        }),
      ]);
      expect(source.observed).toBe(false);
    },
  );
});

it.each(operators.filter(([name]) => name !== 'changes'))(
  '%s leaves an endless synchronous source as soon as nobody listens',
  (_name, operator) => {
    let taken = 0;
    const endless = range(0, 10_000).pipe(
      map(() => {
        taken += 1;
        return { status: 'live', snapshot: new Map([['a', taken]]), rejected: new Map() };
      }),
    );
    operator(endless as Observable<never>)
      .pipe(take(1))
      .subscribe();
    expect(taken).toBeLessThan(10);
  },
);
