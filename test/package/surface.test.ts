import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { exports, sideEffects } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  readonly sideEffects: boolean;
};
const entries = Object.entries(exports).flatMap(([subpath, target]): [string, string][] =>
  typeof target === 'string' ? [] : [[subpath, target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')]],
);

// Each public name is a promise. An intended change of it is taken over with `npx vitest run test/package -u`, and
// belongs into the changelog.
test('the public surface is exactly this', async () => {
  const program = ts.createProgram(
    entries.map(([, file]) => join(root, file)),
    { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, noCheck: true },
  );
  const lines = entries.flatMap(([subpath, file]) => [subpath, ...exportsOf(program, join(root, file)), '']);
  await expect(lines.join('\n')).toMatchFileSnapshot('surface.txt');
  // The compiler reads all of src/ and its types.
}, 180_000);

test.each(entries)(
  '%s exports its values by name, and none by default',
  async (_subpath, file) => {
    const names = Object.keys((await import(join(root, file))) as object);
    expect(names.length).toBeGreaterThan(0);
    expect(names).not.toContain('default');
  },
  180_000,
);

test('a bundler may leave out what is not used', () => {
  expect(sideEffects).toBe(false);
});

function exportsOf(program: ts.Program, file: string): string[] {
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${file} is no module`);
  return checker
    .getExportsOfModule(module)
    .map((symbol) => {
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      return `  ${target.flags & ts.SymbolFlags.Value ? 'value' : 'type '} ${symbol.name}`;
    })
    .sort();
}
