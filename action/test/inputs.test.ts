import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { INPUT_NAMES, MODES, readInputs } from '../src/inputs.ts'

const read = (given: Record<string, string>) => readInputs((name) => given[name] ?? '')

describe('inputs', () => {
  it('of a gate are read, with what is usual for the rest', () => {
    const found = read({ mode: 'gate', command: 'cargo bench -- "a b"', runs: '10', threshold: '2.5%', budget: '40m', head: 'v1.2' })
    expect(found).toMatchObject({
      mode: 'gate', command: ['cargo', 'bench', '--', 'a b'], runs: 10, threshold: '2.5%', head: 'v1.2', base: undefined,
      failOnRegression: true, failOnError: true, workingDirectory: '.'
    })
  })

  it('of a push have times in milliseconds, and trouble that only warns', () => {
    const found = read({ mode: 'push', service: 'https://b.example/x', results: 'out/a.json\n\n  out/*.txt  ', wait: '90s', 'max-wait': '1h' })
    expect(found).toMatchObject({ results: ['out/a.json', 'out/*.txt'], wait: 90_000, maxWait: 3_600_000, failOnError: false, artifact: 'regressd-upload' })
  })

  it.each([
    [{}, 'the input mode is one of gate, push, snippex, comment; it is missing'],
    [{ mode: 'gates' }, 'not "gates"'],
    [{ mode: 'gate', service: 'https://b.example' }, 'the input service is for mode push; with mode gate it would be ignored'],
    [{ mode: 'gate', runs: '0' }, 'the input runs is a whole number from 1 to 1000, not "0"'],
    [{ mode: 'gate', runs: '1e2' }, 'not "1e2"'],
    [{ mode: 'gate', threshold: 'five' }, 'a percentage such as 5%'],
    [{ mode: 'gate', budget: '40' }, 'a time such as 90s, 5m or 1h'],
    [{ mode: 'gate', base: '--upload-pack=x' }, 'the input base is a commit or a branch'],
    [{ mode: 'gate', head: 'a b' }, 'the input head is a commit or a branch'],
    [{ mode: 'gate', command: 'cargo "bench' }, 'not closed'],
    [{ mode: 'gate', version: 'latest' }, 'a release such as 0.1.0'],
    [{ mode: 'gate', 'download-url': 'ftp://x' }, 'an address of HTTP'],
    [{ mode: 'gate', 'fail-on-error': 'yes' }, 'one of true, false'],
    [{ mode: 'push', results: 'a' }, 'the input service is missing'],
    [{ mode: 'push', service: 'bench.example.org', results: 'a' }, 'an address of HTTP'],
    [{ mode: 'push', service: 'https://b.example' }, 'wants either results'],
    [{ mode: 'push', service: 'https://b.example', results: 'a', upload: 'b' }, 'wants either results'],
    [{ mode: 'push', service: 'https://b.example', upload: 'a', 'base-results': 'b' }, 'has its own'],
    [{ mode: 'snippex', files: 'a' }, 'the input engine is missing'],
    [{ mode: 'snippex', engine: 'qemu-x86_64' }, 'the input files is missing'],
    [{ mode: 'comment', 'pull-request': 'seven' }, 'a whole number']
  ])('%j is refused in words', (given, message) => {
    expect(() => read(given as Record<string, string>)).toThrow(message)
  })

  it('are those of action.yml, each with a description', () => {
    const text = readFileSync(new URL('../action.yml', import.meta.url), 'utf8')
    const section = text.slice(text.indexOf('\ninputs:'), text.indexOf('\noutputs:'))
    const named = [...section.matchAll(/^ {2}([a-z-]+):\n {4}description: /gm)].map((found) => found[1])
    expect(named.sort()).toEqual([...INPUT_NAMES].sort())
    expect(text).toContain(MODES.join(', '))
  })
})
