import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WorkflowEvent } from '../src/event.ts'

/** A push to main, but for what is given. */
export function event(given: Partial<WorkflowEvent>): WorkflowEvent {
  return {
    name: 'push', repository: 'octo/hello', branch: 'main', commit: 'c'.repeat(40), headCommit: undefined, pullRequest: undefined,
    baseCommit: undefined, targetBranch: undefined, fromFork: false, runId: '11', runAttempt: '1', ...given
  }
}

export function temporary(): string {
  return mkdtempSync(join(tmpdir(), 'action-'))
}

/** A server of one handler on a free port, until `close`. */
export async function serve(handle: (request: IncomingMessage, body: Buffer, response: ServerResponse) => void) {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => handle(request, Buffer.concat(chunks), response))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { url: `http://127.0.0.1:${address.port}`, close: () => server.close() }
}

export interface Ended {
  code: number
  log: string
  outputs: Record<string, string>
  summary: string
}

/** Runs the bundle as a runner does: inputs, event and files by the environment. */
export async function runAction(
  folder: string,
  inputs: Record<string, string>,
  payload: object,
  environment: Record<string, string> = {}
): Promise<Ended> {
  const file = (name: string, text: string) => {
    const path = join(temporary(), name)
    writeFileSync(path, text)
    return path
  }
  const [output, summary] = [file('output', ''), file('summary', '')]
  const given = Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: temporary(),
    GITHUB_OUTPUT: output,
    GITHUB_STEP_SUMMARY: summary,
    GITHUB_EVENT_PATH: file('event.json', JSON.stringify(payload)),
    GITHUB_EVENT_NAME: 'push',
    GITHUB_REPOSITORY: 'octo/hello',
    GITHUB_REF: 'refs/heads/main',
    GITHUB_SHA: 'c'.repeat(40),
    GITHUB_RUN_ID: '11',
    GITHUB_RUN_ATTEMPT: '1',
    GITHUB_SERVER_URL: 'https://github.com',
    RUNNER_TEMP: temporary(),
    RUNNER_TOOL_CACHE: temporary(),
    ...Object.fromEntries(given),
    ...environment
  }
  const bundle = fileURLToPath(new URL('../dist/index.mjs', import.meta.url))
  const child = spawn(process.execPath, [bundle], { cwd: folder, env })
  let log = ''
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const code = await new Promise<number>((done) => child.on('close', (ended) => done(ended ?? -1)))
  return { code, log, outputs: readOutputs(output), summary: readFileSync(summary, 'utf8') }
}

/** The blocks `name<<DELIMITER`, lines, `DELIMITER` of the file of outputs. */
function readOutputs(path: string): Record<string, string> {
  const found = readFileSync(path, 'utf8').matchAll(/^(.+)<<(.+)\n([^]*?)\n\2$/gm)
  return Object.fromEntries([...found].map((one) => [one[1], one[3]]))
}
