import { expect, it } from 'vitest'
import { splitWords } from '../src/words.ts'

it.each([
  ['', []],
  ['  cargo   bench\n--  -q ', ['cargo', 'bench', '--', '-q']],
  [`sh -c 'a "b" $c; d'`, ['sh', '-c', 'a "b" $c; d']],
  [`a"b c"d '' ""`, ['ab cd', '', '']],
  ['a\\ b "c\\"d" \'e\\f\'', ['a b', 'c"d', 'e\\f']]
])('%j', (line, words) => {
  expect(splitWords(line)).toEqual(words)
})

it.each([`a 'b`, 'a "b', 'a \\'])('%j is refused', (line) => {
  expect(() => splitWords(line)).toThrow('the command')
})
