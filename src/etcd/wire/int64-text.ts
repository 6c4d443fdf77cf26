/** The digits of a number of 64 bits, from its halves. */
export function int64Text(high: number, low: number): string {
  return String((BigInt(high) << 32n) | BigInt(low >>> 0));
}
