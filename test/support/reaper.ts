import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

// Reads "+ pid directory" and "- pid" lines; when its input ends, because the test process is gone however it
// went, it kills what is left and removes the directories. Signals to the terminal's group do not stop it.
const script = `
trap '' INT TERM HUP
list=''
while read -r op pid directory; do
  if [ "$op" = + ]; then
    list="$list$pid $directory
"
  else
    list=$(printf '%s' "$list" | grep -v "^$pid "; printf x)
    list=\${list%x}
  fi
done
printf '%s' "$list" | while read -r pid directory; do kill -KILL "$pid"; done 2>/dev/null
sleep 0.2
printf '%s' "$list" | while read -r pid directory; do rm -rf "$directory"; done
`;

let reaper: ChildProcessByStdio<Writable, null, null> | undefined;

/** Has a process killed and its directory removed when this process ends, also when it is killed itself. */
export function reap(pid: number, directory: string): void {
  tell(`+ ${pid} ${directory}`);
}

/** Takes back `reap`: the process is known to be gone. */
export function unreap(pid: number): void {
  tell(`- ${pid}`);
}

function tell(line: string): void {
  reaper ??= start();
  reaper.stdin.write(`${line}\n`);
}

function start(): ChildProcessByStdio<Writable, null, null> {
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.unref();
  (child.stdin as Writable & { unref?: () => void }).unref?.();
  return child;
}
