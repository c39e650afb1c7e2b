import { Fault } from './fault.ts'
import { splitWords } from './words.ts'

/** What the action can do. */
export const MODES = ['gate', 'push', 'snippex', 'comment'] as const
export type Mode = (typeof MODES)[number]

/** Which inputs belong to which modes. An input that a mode would ignore is refused. */
const KNOWN: Record<string, readonly Mode[]> = {
  mode: MODES,
  'working-directory': MODES,
  'fail-on-error': MODES,
  'github-token': MODES,
  program: ['gate', 'snippex', 'comment'],
  version: ['gate', 'snippex', 'comment'],
  'download-url': ['gate', 'snippex', 'comment'],
  'fail-on-regression': ['gate', 'push', 'snippex'],
  artifact: ['gate', 'push', 'snippex'],
  command: ['gate'],
  base: ['gate'],
  head: ['gate'],
  build: ['gate'],
  runs: ['gate'],
  threshold: ['gate'],
  budget: ['gate'],
  service: ['push'],
  results: ['push'],
  'base-results': ['push'],
  upload: ['push'],
  tool: ['push'],
  audience: ['push'],
  token: ['push'],
  component: ['push'],
  environment: ['push'],
  'run-id': ['push'],
  wait: ['push'],
  'max-wait': ['push'],
  files: ['snippex'],
  engine: ['snippex'],
  baseline: ['snippex'],
  arguments: ['snippex'],
  report: ['comment'],
  'pull-request': ['comment']
}

export const INPUT_NAMES: readonly string[] = Object.keys(KNOWN)

/** How programs are found or fetched. */
export interface ProgramInputs {
  program: string | undefined
  version: string | undefined
  downloadUrl: string | undefined
}

export interface GateInputs extends ProgramInputs {
  mode: 'gate'
  command: string[]
  base: string | undefined
  head: string | undefined
  build: string | undefined
  runs: number | undefined
  threshold: string | undefined
  budget: string | undefined
  artifact: string | undefined
}

export interface PushInputs {
  mode: 'push'
  service: URL
  results: string[]
  baseResults: string[]
  upload: string | undefined
  tool: string | undefined
  audience: string
  token: string | undefined
  component: string | undefined
  environment: string | undefined
  runId: string | undefined
  /** Milliseconds to wait for a verdict. */
  wait: number
  /** Milliseconds to go on trying. */
  maxWait: number
  artifact: string
}

export interface SnippexInputs extends ProgramInputs {
  mode: 'snippex'
  files: string[]
  engine: string
  baseline: string
  arguments: string[]
  artifact: string | undefined
}

export interface CommentInputs extends ProgramInputs {
  mode: 'comment'
  report: string
  pullRequest: number | undefined
}

export type Inputs = (GateInputs | PushInputs | SnippexInputs | CommentInputs) & {
  workingDirectory: string
  failOnRegression: boolean
  failOnError: boolean
  githubToken: string | undefined
}

type Get = (name: string) => string

/** Reads and checks all inputs; `get` gives the text of one, empty when it is not given. */
export function readInputs(get: Get): Inputs {
  const mode = oneOf('mode', text(get, 'mode'), MODES)
  for (const [name, modes] of Object.entries(KNOWN)) {
    if (text(get, name) !== undefined && !modes.includes(mode)) {
      throw new Fault(`the input ${name} is for mode ${modes.join(' and ')}; with mode ${mode} it would be ignored: remove it`)
    }
  }
  const common = {
    workingDirectory: text(get, 'working-directory') ?? '.',
    failOnRegression: truth(get, 'fail-on-regression', true),
    // A gate that cannot judge must not pass; results that cannot be stored need not stop a merge.
    failOnError: truth(get, 'fail-on-error', mode !== 'push'),
    githubToken: text(get, 'github-token')
  }
  switch (mode) {
    case 'gate':
      return { mode, ...common, ...programInputs(get), ...gateInputs(get) }
    case 'push':
      return { mode, ...common, ...pushInputs(get) }
    case 'snippex':
      return { mode, ...common, ...programInputs(get), ...snippexInputs(get) }
    case 'comment':
      return {
        mode,
        ...common,
        ...programInputs(get),
        report: text(get, 'report') ?? 'target/benchgate/report.json',
        pullRequest: count(get, 'pull-request', 1, 2 ** 31)
      }
  }
}

function programInputs(get: Get): ProgramInputs {
  const version = text(get, 'version')
  if (version !== undefined && !/^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version)) {
    throw new Fault(`the input version is a release such as 0.1.0, not "${version}"`)
  }
  const downloadUrl = text(get, 'download-url')
  if (downloadUrl !== undefined) address('download-url', downloadUrl)
  return { program: text(get, 'program'), version: version?.replace(/^v/, ''), downloadUrl: downloadUrl?.replace(/\/+$/, '') }
}

function gateInputs(get: Get): Omit<GateInputs, 'mode' | keyof ProgramInputs> {
  const threshold = text(get, 'threshold')
  if (threshold !== undefined && !/^\d+(\.\d+)?%?$/.test(threshold)) {
    throw new Fault(`the input threshold is a percentage such as 5%, not "${threshold}"`)
  }
  const budget = text(get, 'budget')
  if (budget !== undefined) span('budget', budget)
  return {
    command: splitWords(text(get, 'command') ?? ''),
    base: commitName(get, 'base'),
    head: commitName(get, 'head'),
    build: text(get, 'build'),
    runs: count(get, 'runs', 1, 1000),
    threshold,
    budget,
    artifact: text(get, 'artifact')
  }
}

function pushInputs(get: Get): Omit<PushInputs, 'mode'> {
  const results = lines(text(get, 'results'))
  const baseResults = lines(text(get, 'base-results'))
  const upload = text(get, 'upload')
  if ((results.length === 0) === (upload === undefined)) {
    throw new Fault('mode push wants either results (files of a benchmark tool, a pattern a line) or upload (the file that an earlier workflow kept)')
  }
  if (upload !== undefined && baseResults.length > 0) {
    throw new Fault('the input base-results goes with results; an upload that was kept has its own')
  }
  return {
    service: address('service', required(get, 'service')),
    results,
    baseResults,
    upload,
    tool: text(get, 'tool'),
    audience: text(get, 'audience') ?? 'regressd',
    token: text(get, 'token'),
    component: text(get, 'component'),
    environment: text(get, 'environment'),
    runId: text(get, 'run-id'),
    wait: span('wait', text(get, 'wait') ?? '5m'),
    maxWait: span('max-wait', text(get, 'max-wait') ?? '2m'),
    artifact: text(get, 'artifact') ?? 'regressd-upload'
  }
}

function snippexInputs(get: Get): Omit<SnippexInputs, 'mode' | keyof ProgramInputs> {
  const files = lines(required(get, 'files'))
  return {
    files,
    engine: required(get, 'engine'),
    baseline: text(get, 'baseline') ?? 'snippex-baseline.txt',
    arguments: splitWords(text(get, 'arguments') ?? ''),
    artifact: text(get, 'artifact')
  }
}

function text(get: Get, name: string): string | undefined {
  const value = get(name).trim()
  return value === '' ? undefined : value
}

function required(get: Get, name: string): string {
  const value = text(get, name)
  if (value === undefined) throw new Fault(`the input ${name} is missing`)
  return value
}

function lines(value: string | undefined): string[] {
  return (value ?? '').split('\n').map((line) => line.trim()).filter((line) => line !== '')
}

function oneOf<T extends string>(name: string, value: string | undefined, known: readonly T[]): T {
  const found = known.find((one) => one === value)
  if (found !== undefined) return found
  throw new Fault(`the input ${name} is one of ${known.join(', ')}${value === undefined ? '; it is missing' : `, not "${value}"`}`)
}

function truth(get: Get, name: string, otherwise: boolean): boolean {
  const value = text(get, name)
  if (value === undefined) return otherwise
  return oneOf(name, value.toLowerCase(), ['true', 'false']) === 'true'
}

function count(get: Get, name: string, least: number, most: number): number | undefined {
  const value = text(get, name)
  if (value === undefined) return undefined
  const number = Number(value)
  if (!/^\d+$/.test(value) || number < least || number > most) {
    throw new Fault(`the input ${name} is a whole number from ${least} to ${most}, not "${value}"`)
  }
  return number
}

/** A time such as 90s, 5m or 1h, in milliseconds. */
function span(name: string, value: string): number {
  const found = /^(\d+)(s|m|h)$/.exec(value)
  if (found === null) throw new Fault(`the input ${name} is a time such as 90s, 5m or 1h, not "${value}"`)
  const unit = { s: 1000, m: 60_000, h: 3_600_000 }[found[2] as 's' | 'm' | 'h']
  return Number(found[1]) * unit
}

function address(name: string, value: string): URL {
  const url = URL.parse(value)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new Fault(`the input ${name} is an address of HTTP such as https://bench.example.org, not "${value}"`)
  }
  return url
}

/** A commit or a branch: never something that a program would take for an option. */
function commitName(get: Get, name: string): string | undefined {
  const value = text(get, name)
  if (value !== undefined && !/^[0-9A-Za-z_][^\s~^:?*[\\]*$/.test(value)) {
    throw new Fault(`the input ${name} is a commit or a branch, not "${value}"`)
  }
  return value
}
