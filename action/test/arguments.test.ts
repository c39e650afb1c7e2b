import { describe, expect, it } from 'vitest'
import { gateArguments } from '../src/gate.ts'
import { readInputs, type GateInputs, type SnippexInputs } from '../src/inputs.ts'
import { snippexArguments } from '../src/snippex.ts'
import { event } from './tools.ts'

const gate = (given: Record<string, string>) => readInputs((name) => ({ mode: 'gate', ...given })[name] ?? '') as GateInputs

describe('the arguments of benchgate', () => {
  it('compare a pull request with its base', () => {
    const pull = event({ pullRequest: 7, baseCommit: 'b'.repeat(40), headCommit: 'a'.repeat(40) })
    expect(gateArguments(gate({ command: 'go test -bench .', runs: '5', threshold: '3%', budget: '20m', build: 'make x' }), pull)).toEqual([
      'ab', '--state', 'target/benchgate', '--format', 'github', `--base=${'b'.repeat(40)}`, `--head=${'a'.repeat(40)}`,
      '--build=make x', '--budget=20m', '--runs=5', '--threshold=3%', '--', 'go', 'test', '-bench', '.'
    ])
  })

  it('hold a push against the baseline, and leave the command to benchgate.toml', () => {
    expect(gateArguments(gate({}), event({}))).toEqual(['check', '--state', 'target/benchgate', '--format', 'github'])
  })

  it.each(['head', 'build', 'budget'])('refuse %s without a base', (name) => {
    expect(() => gateArguments(gate({ [name]: '40m' }), event({}))).toThrow(`the input ${name} is for comparing two commits`)
  })
})

it('the arguments of snippex name files that look like options as files', () => {
  const inputs = readInputs((name) => ({ mode: 'snippex', files: 'build/a\n-b', engine: 'qemu-x86_64', arguments: '--seed 2' })[name] ?? '')
  expect(snippexArguments(inputs as SnippexInputs)).toEqual([
    'regression', 'test', 'build/a', './-b', '--emulator', 'qemu-x86_64', '--baseline', 'snippex-baseline.txt',
    '--junit', 'snippex-regression.xml', '--annotations', '--seed', '2'
  ])
})
