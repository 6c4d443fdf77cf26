import { invalidArgument } from '../errors.ts';
import type { Codec } from './codec.ts';
import { parseJson, stringifyJson } from './json-text.ts';
import type { StandardIssue, StandardSchema } from './standard-schema.ts';

/**
 * Values as JSON, checked by a schema or trusted.
 *
 * `json<T>()` trusts: what parses is taken for a `T`. `json(schema)` takes any Standard Schema validator
 * that answers synchronously, and gives the validator's output; an output of `undefined` says that the key
 * holds no instance. An asynchronous validator is refused when it first answers, by a rejected value that
 * says so.
 *
 * What is no JSON, no UTF-8, or against the schema is rejected: left out and reported. Writing does not
 * validate, because a schema's output need not be its input: with a schema that transforms, only read.
 * Numbers are JavaScript's, exact up to 2^53. Throws `invalid-argument` for what is no such schema.
 *
 * @source https://standardschema.dev
 * @example
 * ```ts
 * import { json } from 'rx-etcd';
 *
 * interface Host { readonly address: string; readonly weight: number }
 * const hosts = json<Host>();
 * console.log(hosts.decode(Buffer.from('{"address":"10.0.0.7:80","weight":2}'), 'a')?.weight); // 2
 * ```
 */
export function json<T = unknown>(): Codec<T>;
export function json<Output>(schema: StandardSchema<Output>): Codec<Output>;
export function json<T>(schema?: StandardSchema<T>): Codec<T> {
  if (schema === undefined) return { encode: stringifyJson, decode: (bytes) => parseJson(bytes) as T };
  // Some vendors' schemas are functions.
  const standard = (schema as Partial<StandardSchema<T>> | null)?.['~standard'];
  if (standard?.version !== 1) throw invalidArgument('schema', 'a Standard Schema (version 1) validator', schema);
  return {
    encode: stringifyJson,
    decode(bytes) {
      const result = standard.validate(parseJson(bytes));
      if (result instanceof Promise) {
        // Nobody will look at it: it must not end the process.
        result.catch(() => undefined);
        throw new TypeError('the schema validates asynchronously; a codec needs one that answers synchronously');
      }
      if (result.issues !== undefined) throw new TypeError(describeIssues(result.issues));
      return result.value;
    },
  };
}

/** A validator can say something of each of a hundred thousand elements. */
function describeIssues(issues: readonly StandardIssue[]): string {
  const more = issues.length > MAX_ISSUES ? `; and ${issues.length - MAX_ISSUES} more` : '';
  return `${issues.slice(0, MAX_ISSUES).map(describeIssue).join('; ')}${more}`;
}

const MAX_ISSUES = 10;

function describeIssue({ path = [], message }: StandardIssue): string {
  const keys = path.map((part) => String(typeof part === 'object' ? part.key : part));
  return keys.length === 0 ? message : `${keys.join('.')}: ${message}`;
}
