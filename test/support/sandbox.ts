import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { eventually } from './eventually.ts';

/** The root of the repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A place where code runs as its readers run theirs: against the built package, by plain Node. */
export interface Sandbox {
  /** Adds TypeScript files, and type-checks and compiles them. Returns what the compiler has to say. */
  add(files: ReadonlyMap<string, string>): string[];
  /** Runs an added file. */
  run(file: string, env: Readonly<Record<string, string>>): Run;
  remove(): void;
}

/** A program that runs, or has run. */
export interface Run {
  readonly child: ChildProcess;
  /** What it has written so far. */
  readonly output: () => string;
  /** What it has written on the error output so far. */
  readonly errors: () => string;
  /** Resolves with the exit code, or with the signal that ended it; kills it after 50 s. */
  readonly ended: Promise<number | string>;
  /** Waits until it has written this. */
  wrote(text: string): Promise<unknown>;
}

export function createSandbox(): Sandbox {
  const directory = mkdtempSync(join(tmpdir(), 'rx-etcd-sandbox-'));
  cpSync(join(root, 'package.json'), join(directory, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  buildPackage(join(directory, 'dist'));
  return {
    add(files) {
      const paths = [...files].map(([name, content]) => {
        const path = join(directory, name);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, content);
        return path;
      });
      return compile(paths, directory);
    },
    run(file, env) {
      return run(join(directory, file.replace(/\.ts$/, '.js')), env);
    },
    remove() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

// As `npm run build` does, but for the type check, which is a check of its own.
function buildPackage(outDir: string): void {
  const config = ts.getParsedCommandLineOfConfigFile(join(root, 'tsconfig.build.json'), undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
      throw new Error(textOf(diagnostic));
    },
  });
  if (config === undefined) throw new Error('tsconfig.build.json cannot be read');
  ts.createProgram(config.fileNames, { ...config.options, outDir, noCheck: true }).emit();
}

function compile(paths: readonly string[], directory: string): string[] {
  const program = ts.createProgram(paths, {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    typeRoots: [join(root, 'node_modules', '@types')],
    types: ['node'],
    strict: true,
    noPropertyAccessFromIndexSignature: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
    rootDir: directory,
  });
  program.emit();
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => textOf(diagnostic, directory));
}

function textOf(diagnostic: ts.Diagnostic, relativeTo = '/'): string {
  return ts.formatDiagnostic(diagnostic, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => relativeTo,
    getNewLine: () => '\n',
  });
}

function run(path: string, env: Readonly<Record<string, string>>): Run {
  const child = spawn(process.execPath, ['--enable-source-maps', path], {
    // What an example writes to a file of its own stays in the sandbox.
    cwd: dirname(path),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...env },
    timeout: 50_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve(signal ?? code ?? 'unknown');
    });
  });
  return {
    child,
    ended,
    output: () => output,
    errors: () => errors,
    wrote: (text) =>
      eventually(
        () => {
          if (!output.includes(text)) throw new Error(`it has written:\n${output}${errors}`);
          return true;
        },
        { what: `"${text}" in its output`, withinMs: 20_000 },
      ),
  };
}
