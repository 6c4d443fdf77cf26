import ts from 'typescript';

/** A comment, or `//` comments line below line, which are one. */
export interface Comment {
  readonly line: number;
  readonly text: string;
  /** How many of its lines say something. Tags with types, for the compiler, do not count. */
  readonly lines: number;
  readonly insideFunction: boolean;
}

/** All comments of a TypeScript or JavaScript file. */
export function commentsOf(file: string, text: string): Comment[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found = new Map<number, ts.CommentRange>();
  const bodies: ts.Node[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) bodies.push(node.body);
    if (node.kind === ts.SyntaxKind.JsxText || ts.isJSDoc(node)) return;
    const children = node.getChildren(source);
    if (children.length > 0) children.forEach(visit);
    else {
      const ranges = [
        ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
        ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
      ];
      for (const range of ranges) found.set(range.pos, range);
    }
  };
  visit(source);
  const lineOf = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
  const groups: ts.CommentRange[][] = [];
  for (const range of [...found.values()].sort((a, b) => a.pos - b.pos)) {
    const last = groups.at(-1)?.at(-1);
    const follows = last !== undefined && isLine(last) && isLine(range) && lineOf(range.pos) === lineOf(last.pos) + 1;
    if (follows && isAlone(text, range.pos)) groups.at(-1)?.push(range);
    else groups.push([range]);
  }
  return groups.map((group) => {
    const [{ pos }] = group as [ts.CommentRange];
    const said = group
      .flatMap((range) => text.slice(range.pos, range.end).split('\n'))
      .map((line) => line.replace(/^\s*(\/\/|\/\*+|\*(?!\/))?|\*\/\s*$/g, '').trim())
      .filter((line) => line !== '');
    return {
      line: lineOf(pos) + 1,
      text: said.join('\n'),
      lines: said.filter((line) => !line.startsWith('@')).length,
      insideFunction: bodies.some((body) => ts.isBlock(body) && body.pos < pos && pos < body.end),
    };
  });
}

function isLine(range: ts.CommentRange): boolean {
  return range.kind === ts.SyntaxKind.SingleLineCommentTrivia;
}

function isAlone(text: string, position: number): boolean {
  return /^\s*$/.test(text.slice(text.lastIndexOf('\n', position - 1) + 1, position));
}
