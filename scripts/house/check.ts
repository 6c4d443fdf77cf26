/** `npm run house`: what the house style asks for and no other tool checks; with `-- --all` in all files. */
import { houseFaults } from './faults.ts';

const faults = houseFaults(process.argv.includes('--all'));
for (const fault of faults) console.log(fault);
if (faults.length > 0) console.log(`\n${faults.length} places that docs/style.md does not allow`);
process.exitCode = faults.length > 0 ? 1 : 0;
