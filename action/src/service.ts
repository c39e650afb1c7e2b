import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { Fault } from './fault.ts'

const FIRST_PAUSE = 500
const LONGEST_PAUSE = 20_000
/** For one request with its answer, in milliseconds. */
const REQUEST_TIMEOUT = 60_000
const QUOTED = 300

/** The service failed, or was not there, until the time was over. */
export class Away extends Error {}
/** The service will never take this. */
export class Refused extends Error {
  readonly status: number
  constructor(status: number, detail: string) {
    super(`the service refuses it (${status}): ${detail}`)
    this.status = status
  }
}

export interface Verdict {
  benchmark: string
  measure: string
  unit: string
  verdict: string
  current_value: number | null
  baseline_value: number | null
  percent_change: number | null
  reason: string
}

export interface StoredRun {
  run: number
  state: 'judged' | 'queued'
  outcome?: string
  results: Verdict[]
  problems: string[]
}

/** Gives the value of the Authorization header, anew for each request: tokens of a workflow live for minutes. */
export type Authorize = () => Promise<string>

/** A regressd, asked again while the network or the service fails, until a time is over. */
export class Service {
  readonly #address: string
  readonly #authorize: Authorize

  constructor(address: URL, authorize: Authorize) {
    this.#address = address.href.replace(/\/+$/, '')
    this.#authorize = authorize
  }

  pageOf(run: number): string {
    return `${this.#address}/runs/${run}`
  }

  /** Stores a run. An attempt whose answer was lost does no harm: the service knows the run by its run_id. */
  async push(upload: object, patience: number): Promise<StoredRun> {
    const body = gzipSync(JSON.stringify(upload))
    return read<StoredRun>(await this.#patiently('/analyze', Date.now() + patience, body))
  }

  /** Waits for the verdict on a run; nothing when there is none in time. */
  async verdict(run: number, patience: number): Promise<StoredRun | undefined> {
    const until = Date.now() + patience
    for (const pause of pauses()) {
      let answer
      try {
        answer = read<Omit<StoredRun, 'run' | 'state'> & { run: StoredRun }>(await this.#patiently(`/v1/runs/${run}`, until))
      } catch (error) {
        if (error instanceof Away) return undefined
        throw error
      }
      // What is asked later has the run's own figures in an object of their own.
      if (answer.run.state === 'judged') return { ...answer.run, results: answer.results, problems: answer.problems }
      if (Date.now() + pause > until) return undefined
      await sleep(pause)
    }
    return undefined
  }

  async #patiently(path: string, until: number, body?: Uint8Array<ArrayBuffer>): Promise<string> {
    for (const own of pauses()) {
      const attempt = await this.#once(path, body)
      if (typeof attempt === 'string') return attempt
      const pause = Math.max(own, attempt.after)
      if (Date.now() + pause > until) throw new Away(attempt.why)
      await sleep(pause)
    }
    throw new Away('it does not answer')
  }

  async #once(path: string, body?: Uint8Array<ArrayBuffer>): Promise<string | { why: string; after: number }> {
    let answer: Response
    let text: string
    try {
      const headers: Record<string, string> = { authorization: await this.#authorize(), 'user-agent': 'benchmark-gate-action' }
      if (body !== undefined) Object.assign(headers, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      answer = await fetch(this.#address + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers,
        body: body ?? null,
        // A token is not taken elsewhere.
        redirect: 'manual',
        signal: AbortSignal.timeout(REQUEST_TIMEOUT)
      })
      text = await answer.text()
    } catch (error) {
      if (error instanceof Fault) throw error
      return { why: describe(error), after: 0 }
    }
    if (answer.ok) return text
    const detail = problemDetail(text)
    if (answer.status >= 500 || answer.status === 408 || answer.status === 429) {
      return { why: `it answers ${answer.status}: ${detail}`, after: 1000 * (Number(answer.headers.get('retry-after')) || 0) }
    }
    throw new Refused(answer.status, detail)
  }
}

/** Longer each time, and not the same for all who wait. */
function* pauses(): Generator<number> {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    yield pause * (0.75 + Math.random() / 2)
  }
}

function read<T>(text: string): T {
  try {
    return JSON.parse(text) as T
  } catch {
    throw new Fault(`what answers is no regressd: ${text.slice(0, QUOTED)}`)
  }
}

function problemDetail(text: string): string {
  try {
    const detail = (JSON.parse(text) as { detail?: unknown }).detail
    if (typeof detail === 'string') return detail
  } catch {
    // A proxy in front answers with a page.
  }
  return text.replace(/\s+/g, ' ').slice(0, QUOTED)
}

/** The innermost cause says what happened; `fetch failed` does not. */
function describe(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  if (cause instanceof Error && cause.message !== '') return cause.message
  return error instanceof Error ? error.message : String(error)
}
