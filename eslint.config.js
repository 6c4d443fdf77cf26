import js from '@eslint/js';
import rxjs from 'eslint-plugin-rxjs-x';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const houseSyntax = [
  { selector: 'ExportDefaultDeclaration', message: 'Named exports only (house style 3).' },
  { selector: 'TSEnumDeclaration', message: 'A union of strings instead of an enum (house style 3).' },
];

export default defineConfig(
  globalIgnores(['coverage/', 'dist/', 'docs/api/', '.etcd/', '**/.build/']),
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  rxjs.configs.recommended,
  {
    languageOptions: { parserOptions: { projectService: true } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // House style: a `$` ends the name of what is or returns an Observable. Not of parameters and options, which
      // are named as RxJS names its own (`source`, `notifier`); nor of what can be fed or applied, too.
      'rxjs-x/finnish': [
        'error',
        {
          parameters: false,
          properties: false,
          strict: false,
          types: { Subject$: false, '^OperatorFunction$': false },
        },
      ],
      'rxjs-x/no-exposed-subjects': 'error',
      'rxjs-x/no-floating-observables': 'error',
      'rxjs-x/no-misused-observables': 'error',
      'rxjs-x/no-subclass': 'error',

      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      // Numbers in messages are ordinary; what prints as "[object Object]" is still refused.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      'no-restricted-syntax': ['error', ...houseSyntax],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // It takes an operator on any ReadonlyMap, applied to snapshots, for a map passed off as a snapshot.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    // Time and randomness are injected. They may be named as an option's default, but called in src/time alone.
    files: ['src/**'],
    ignores: ['src/time/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...houseSyntax,
        {
          selector:
            'CallExpression[callee.property.name=/^(now|random)$/][callee.object.name=/^(Date|performance|Math)$/]',
          message: 'Time and randomness are injected (house style 9).',
        },
        {
          selector: 'CallExpression[callee.name=/^(setTimeout|setInterval|setImmediate)$/]',
          message: 'Timers are injected (house style 9).',
        },
      ],
    },
  },
  {
    // Programs speak to a person.
    files: ['scripts/**', 'examples/**', 'bench/**', 'test/oracle/long-run.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    // A program's parts, used by that program alone.
    files: ['scripts/demo/**'],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
  {
    files: ['test/**', 'bench/**'],
    rules: {
      // Tests look into third-party values, and throw deliberately odd ones.
      '@typescript-eslint/only-throw-error': 'off',
      'rxjs-x/no-implicit-any-catch': 'off',
      'rxjs-x/throw-error': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      // Marble tests name a source `source`.
      'rxjs-x/finnish': 'off',
      'rxjs-x/no-ignored-error': 'off',
      'rxjs-x/no-ignored-subscription': 'off',
    },
  },
  {
    // The compiler checks these too, by their doc comments.
    files: ['**/*.js', '**/*.mjs'],
    rules: { 'no-undef': 'off', '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
  {
    // Tools read their configuration from a default export.
    files: ['*.config.js', '*.config.ts', '.dependency-cruiser.js'],
    rules: { 'no-restricted-syntax': 'off' },
  },
);
