import type { Row } from './row.ts';

const COLORS: Readonly<Record<string, string>> = {
  'rx-etcd': '#2563eb',
  'mutable-map': '#9ca3af',
  scan: '#f59e0b',
  floor: '#d1d5db',
};
const LABELS: Readonly<Record<string, string>> = {
  'rx-etcd': 'rx-etcd: a snapshot per message',
  'mutable-map': 'etcd3 watch, one Map changed in place (no snapshot)',
  scan: 'etcd3 watch, scan to a new Map per event',
  floor: 'raw stream, only counted',
};
const WIDTH = 760;
const LEFT = 220;
const BAR = 14;
const TEXT = 'font-family="system-ui, sans-serif" font-size="12" fill="#374151"';

/** CPU per event as horizontal bars, on a logarithmic scale: from less than one microsecond to milliseconds. */
export function picture(rows: readonly Row[]): string {
  const replay = rows.filter((row) => row.group === 'replay');
  const subjects = Object.keys(COLORS);
  const groups = [...new Set(replay.map(({ keys, perMessage }) => `${keys} ${perMessage}`))];
  const max = Math.max(10, ...replay.map(({ median }) => median));
  const min = Math.min(1, ...replay.map(({ median }) => median)) / 2;
  const scale = (value: number): number => (Math.log(value / min) / Math.log(max / min)) * (WIDTH - LEFT - 90);
  const parts: string[] = [];
  let y = 34;
  parts.push(
    `<text x="16" y="20" ${TEXT} font-weight="600">CPU per event, user + system, microseconds (logarithmic)</text>`,
  );
  for (const group of groups) {
    const [keys, perMessage] = group.split(' ').map(Number) as [number, number];
    parts.push(
      `<text x="16" y="${y + 2 * BAR + 4}" ${TEXT}>${keys.toLocaleString('en')} keys, ${perMessage} a message</text>`,
    );
    for (const subject of subjects) {
      const row = replay.find((one) => one.subject === subject && one.keys === keys && one.perMessage === perMessage);
      if (row !== undefined) {
        const width = Math.max(1, scale(row.median)).toFixed(1);
        parts.push(
          `<rect x="${LEFT}" y="${y}" width="${width}" height="${BAR - 2}" fill="${COLORS[subject] as string}"/>`,
        );
        const label = row.median.toFixed(row.median < 100 ? 1 : 0);
        parts.push(`<text x="${(LEFT + Number(width) + 6).toFixed(1)}" y="${y + BAR - 4}" ${TEXT}>${label}</text>`);
      }
      y += BAR;
    }
    y += 12;
  }
  for (const subject of subjects) {
    parts.push(`<rect x="${LEFT}" y="${y}" width="12" height="12" fill="${COLORS[subject] as string}"/>`);
    parts.push(`<text x="${LEFT + 20}" y="${y + 10}" ${TEXT}>${LABELS[subject] as string}</text>`);
    y += 18;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 8}" viewBox="0 0 ${WIDTH} ${y + 8}" ` +
      'role="img" aria-label="CPU per event">',
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}
