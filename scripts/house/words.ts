/** Words that the house does not use in comments and documents, and what to write instead. */
export const words: readonly { readonly word: RegExp; readonly instead: string }[] = [
  { word: /\bfor ever\b|\bforever\b/, instead: 'without a limit' },
  { word: /\bwhoever\b/, instead: 'name who: the caller, a subscriber, another process' },
  { word: /\banew\b|\bafresh\b/, instead: 'again' },
  { word: /\bweather\b/, instead: 'name it: a network fault, load, a restart' },
  { word: /\bbreath\w*\b/, instead: 'name it: a delay, a turn of the event loop' },
  { word: /\bpeace\w*\b/, instead: 'name it: no change, no retry' },
  { word: /\btroubles?\b/, instead: 'name it: a fault, an error, a back-off' },
  { word: /\bdoubt\w*\b/, instead: 'name it: suspect, not confirmed, unknown' },
  { word: /\bmeanwhile alive\b|\bhereby\b|\bwhereupon\b|\bthereupon\b/, instead: 'two sentences' },
  { word: /\bnobody's business\b|\bof (?:its|their|one's) own accord\b/, instead: 'say what happens' },
  {
    word: /\blink\$|\bLinkState\b|\blastingLink\$|\bAlarmClock\b|\bcallGate\b/,
    instead: 'the present name: see docs/glossary.md',
  },
  { word: /(?:^|[.:!?] )What(?:ever)? (?:is|was)\b/m, instead: 'begin with the subject' },
  { word: /(?:^|[.:!?] )(?:One|Ones) (?:that|who|which)\b/m, instead: 'begin with the subject: "a lease that …"' },
];
