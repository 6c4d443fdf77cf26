import { inspect } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';

/** How long `eventually` waits, and how often it looks. */
export interface EventuallyOptions {
  /** The bound. Generous by default, for a busy machine: 30 000. */
  readonly withinMs?: number;
  /** The pause between two looks. Default 10. */
  readonly everyMs?: number;
  /** The name of the condition, for the failure message. */
  readonly what?: string;
}

/**
 * Waits until `look` returns something truthy and gives that back. `look` may throw (a failed `expect`, a
 * refused connection) or return a Promise; what it last said stands in the message when the bound is passed.
 */
export async function eventually<T>(
  look: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, false | 0 | '' | null | undefined>> {
  const { withinMs = 30_000, everyMs = 10, what = 'the condition' } = options;
  const end = performance.now() + withinMs;
  let last: { readonly value: T } | { readonly error: unknown };
  for (;;) {
    try {
      const value = await look();
      if (value) return value as Exclude<T, false | 0 | '' | null | undefined>;
      last = { value };
    } catch (error) {
      last = { error };
    }
    if (performance.now() >= end) break;
    await delay(everyMs);
  }
  const failed = `${what} did not come true within ${withinMs} ms`;
  if ('error' in last) {
    const reason = last.error instanceof Error ? last.error.message : inspect(last.error);
    throw new Error(`${failed}; last failure: ${reason}`, { cause: last.error });
  }
  throw new Error(`${failed}; last value: ${inspect(last.value)}`);
}
