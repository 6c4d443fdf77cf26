/** What every room may import: errors, the check of arguments, and the passing on of notifications. */
const SHARED = ['errors.ts', 'arguments.ts', 'observers.ts'];

/**
 * The rooms of src/: data goes etcd → discovery → steadiness, selection → user, and user → registration → etcd.
 * An import never points back. Each room lists what it may import; what is not listed, it may not.
 *
 * @type {import('dependency-cruiser').IConfiguration}
 */
const configuration = {
  forbidden: [
    room('errors.ts', []),
    room('arguments.ts', ['errors.ts']),
    room('observers.ts', []),
    room('codecs', SHARED),
    room('sorted-tree', []),
    room('time', ['sorted-tree', ...SHARED]),
    room('etcd', ['time', 'sorted-tree', ...SHARED]),
    room('discovery', ['etcd', 'time', 'sorted-tree', 'codecs', ...SHARED]),
    room('registration', ['etcd', 'time', 'codecs', ...SHARED]),
    room('steadiness', ['discovery', 'time', 'codecs', ...SHARED]),
    room('selection', ['discovery', 'time', 'codecs', ...SHARED]),
    {
      name: 'known-rooms',
      severity: 'error',
      comment: 'A new folder in src/ needs a rule here: which rooms may it import? Adapters may import any.',
      from: {},
      to: {
        path: '^src/',
        pathNot: [
          '^src/(index|errors|arguments|observers)\\.ts$',
          '^src/(codecs|sorted-tree|time|etcd|discovery|registration|steadiness|selection|grpc|testing|cli)/',
        ],
      },
    },
    {
      name: 'adapters-are-leaves',
      severity: 'error',
      comment: 'The public surface and the adapters are imported by users, not by the rooms.',
      from: { path: '^src/', pathNot: '^src/(grpc|testing|cli)/' },
      to: { path: '^src/(index\\.ts|(grpc|testing|cli)/)' },
    },
    {
      name: 'only-etcd-touches-etcd3',
      severity: 'error',
      comment: 'etcd3 and grpc are spoken to in src/etcd alone; src/testing makes clients of its servers.',
      from: { path: '^src/', pathNot: '^src/(etcd|testing)/' },
      to: { path: '(^|/)node_modules/(etcd3|@grpc/[^/]+|protobufjs|@protobufjs/[^/]+|cockatiel)/' },
    },
    {
      name: 'no-etcd3-internals',
      severity: 'error',
      comment: 'Only what etcd3 exports from its entry: its other files are not its promise.',
      from: { path: '^src/' },
      to: { path: '(^|/)node_modules/etcd3/', pathNot: '(^|/)node_modules/etcd3/lib/index\\.(js|d\\.ts)$' },
    },
    {
      name: 'declared-packages',
      severity: 'error',
      comment: 'A package that src/ imports is a dependency or a peer: users do not get dev dependencies.',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'npm-peer'] },
    },
    {
      name: 'examples-use-what-users-have',
      severity: 'error',
      comment: 'An example is copied: it imports the package by its name, and nothing else of this repository.',
      from: { path: '^examples/' },
      to: { path: '^(src|test|bench|scripts|examples)/', pathNot: '^src/.*index\\.ts$' },
    },
    {
      name: 'test-rooms',
      severity: 'error',
      comment: 'What two rooms of tests share stands in test/support.',
      from: { path: '^test/([^/]+)/' },
      to: { path: '^test/', pathNot: '^test/($1|support)/' },
    },
    {
      name: 'support-is-for-all',
      severity: 'error',
      comment: 'Of test, bench and scripts, test support uses only itself and the rules by which etcd is found.',
      from: { path: '^test/support/' },
      to: { path: '^(test|bench|scripts|examples)/', pathNot: '^(test/support/|scripts/etcd\\.mjs$)' },
    },
    {
      name: 'bench-and-scripts-are-leaves',
      severity: 'error',
      comment: 'Tests hold the pictures and the numbers to the code that draws them; nothing else imports them.',
      from: { path: '^(src|examples|bench|scripts)/' },
      to: { path: '^(bench|scripts)/', pathNot: ['^$1/', '^scripts/etcd\\.mjs$'] },
    },
    {
      name: 'programs-use-test-support-alone',
      severity: 'error',
      comment: 'The demo and the benchmarks start servers as the tests do; they use no test.',
      from: { path: '^(bench|scripts)/' },
      to: { path: '^test/', pathNot: '^test/support/' },
    },
    {
      name: 'known-packages',
      severity: 'error',
      comment: 'A package that package.json does not name.',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      comment: 'An import that leads nowhere.',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'nothing-outside',
      severity: 'error',
      comment: 'The library needs nothing that is not in src/.',
      from: { path: '^src/' },
      to: { path: '^(test|scripts|bench|examples)/' },
    },
    {
      name: 'no-circles',
      severity: 'error',
      comment: 'Types count too: a circle of types is a room that is really two.',
      from: {},
      to: { circular: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};

export default configuration;

/**
 * @param {string} name
 * @param {readonly string[]} mayImport
 * @returns {import('dependency-cruiser').IForbiddenRuleType}
 */
function room(name, mayImport) {
  const paths = [name, ...mayImport].map((each) =>
    each.endsWith('.ts') ? `${each.replace('.', '\\.')}$` : `${each}/`,
  );
  return {
    name: `room-${name.replace('.ts', '')}`,
    severity: 'error',
    comment: `src/${name} may import ${mayImport.join(', ') || 'nothing of src/'}.`,
    from: { path: `^src/${paths[0] ?? ''}` },
    to: { path: '^src/', pathNot: `^src/(${paths.join('|')})` },
  };
}
