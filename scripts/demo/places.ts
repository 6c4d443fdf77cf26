/** What the demo's processes have in common: where things are in etcd, and what they tell each other. */

export const hostsPrefix = (prefix: string): string => `${prefix}hosts/`;
export const settingsPrefix = (prefix: string): string => `${prefix}settings/`;
export const greetingKey = (prefix: string): string => `${settingsPrefix(prefix)}greeting`;

/** The addresses of etcd in `ETCD_HOSTS`, separated by commas. */
export function hostsOfEtcd(): string[] {
  return (process.env['ETCD_HOSTS'] ?? '')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');
}

/** What a provider answers to a request. */
export interface Answer {
  readonly name: string;
  readonly greeting: string | undefined;
  /** How many requests it has answered. */
  readonly answered: number;
}

/** What a provider tells the demo. */
export type Report =
  | {
      readonly type: 'registration';
      readonly status: string;
      readonly leaseId?: string;
    }
  | { readonly type: 'heard'; readonly greeting: string | undefined };
