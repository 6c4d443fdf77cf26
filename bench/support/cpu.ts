/** What this process has used so far, user and system, in microseconds. */
export function cpuUs(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return userCPUTime + systemCPUTime;
}
