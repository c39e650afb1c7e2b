import { Fault } from './fault.ts'

/**
 * Splits a command line into words as a POSIX shell does: blanks part words, quotes and backslashes keep them together.
 * Nothing is expanded and nothing is run by a shell, so that `$`, `*`, `|` and `;` are plain characters.
 */
export function splitWords(line: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let at = 0; at < line.length; at += 1) {
    const c = line.charAt(at)
    if (quote === undefined && /\s/.test(c)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (c === '\\' && quote !== "'") {
      at += 1
      if (at === line.length) throw new Fault(`the command ends with a backslash: ${line}`)
      word = (word ?? '') + line.charAt(at)
    } else if (quote === undefined && (c === '"' || c === "'")) {
      quote = c
      word ??= ''
    } else if (c === quote) {
      quote = undefined
    } else {
      word = (word ?? '') + c
    }
  }
  if (quote !== undefined) throw new Fault(`the command has a ${quote} that is not closed: ${line}`)
  if (word !== undefined) words.push(word)
  return words
}
