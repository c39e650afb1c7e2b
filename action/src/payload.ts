import { createHash } from 'node:crypto'
import { glob, readFile, stat } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import type { WorkflowEvent } from './event.ts'
import { Fault } from './fault.ts'
import type { PushInputs } from './inputs.ts'

/** A file of results, as the service takes it. */
interface ResultFile {
  path: string
  text: string
}

/** What was measured. Of a fork's upload this is all that is believed, and it is data only. */
export interface Measured {
  results: ResultFile[]
  base?: ResultFile[]
  environment?: { name: string }
  component?: string
  tool?: string
}

/** The body of `POST /analyze`. */
export interface Upload extends Measured {
  repository: string
  branch: string
  commit: string
  head_commit?: string
  commit_time?: string
  pull_request?: number
  target_branch?: string
  run_id: string
  workflow_run?: number
}

/** The service refuses more (`server.upload_limit_mib` is 64 by default); a wrong pattern should not read a disk. */
const MOST_BYTES = 256 * 2 ** 20

/** Reads the files that the patterns name. */
export async function measure(inputs: PushInputs, folder: string): Promise<Measured> {
  const results = await readFiles('results', inputs.results, folder)
  const measured: Measured = { results }
  if (inputs.baseResults.length > 0) measured.base = await readFiles('base-results', inputs.baseResults, folder)
  if (inputs.environment !== undefined) measured.environment = { name: inputs.environment }
  if (inputs.component !== undefined) measured.component = inputs.component
  if (inputs.tool !== undefined) measured.tool = inputs.tool
  return measured
}

async function readFiles(input: string, patterns: string[], folder: string): Promise<ResultFile[]> {
  const paths = new Set<string>()
  for (const pattern of patterns) {
    let found = 0
    for await (const name of glob(pattern, { cwd: folder })) {
      const path = resolve(folder, name)
      if (!(await stat(path)).isFile()) continue
      paths.add(path)
      found += 1
    }
    if (found === 0) throw new Fault(`the input ${input} names ${pattern}, and no file in ${folder} is called so`)
  }
  const files: ResultFile[] = []
  let bytes = 0
  for (const path of [...paths].sort()) {
    bytes += (await stat(path)).size
    if (bytes > MOST_BYTES) throw new Fault(`the files of the input ${input} are larger than ${MOST_BYTES / 2 ** 20} MiB together`)
    files.push({ path: relative(folder, path), text: await readFile(path, 'utf8') })
  }
  return files
}

/** Reads what the workflow of a fork kept. Where it came from is said by the event alone. */
export async function readKept(path: string): Promise<Measured> {
  let kept: unknown
  try {
    kept = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new Fault(`the upload ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  const malformed = new Fault(`${path} is no upload that this action kept`)
  if (typeof kept !== 'object' || kept === null) throw malformed
  const fields = kept as Record<string, unknown>
  const files = (value: unknown): ResultFile[] => {
    if (!Array.isArray(value) || value.length === 0) throw malformed
    return value.map((one: unknown) => {
      const file = one as { path?: unknown; text?: unknown } | null
      if (typeof file?.path !== 'string' || typeof file.text !== 'string') throw malformed
      return { path: file.path, text: file.text }
    })
  }
  const measured: Measured = { results: files(fields['results']) }
  if (fields['base'] !== undefined) measured.base = files(fields['base'])
  const environment = (fields['environment'] as { name?: unknown } | undefined)?.name
  if (typeof environment === 'string') measured.environment = { name: environment }
  if (typeof fields['component'] === 'string') measured.component = fields['component']
  if (typeof fields['tool'] === 'string') measured.tool = fields['tool']
  return measured
}

/** Joins what was measured with what the workflow says it is of. */
export function describeUpload(
  measured: Measured,
  inputs: PushInputs,
  event: WorkflowEvent,
  known: { commitTime?: string | undefined; pullRequest?: number | undefined }
): Upload {
  const pull = known.pullRequest ?? event.pullRequest
  if (event.branch === undefined) {
    throw new Fault('this workflow runs for no branch and no pull request (a tag, perhaps), so its results have no history to be judged by')
  }
  const upload: Upload = {
    ...measured,
    repository: event.repository,
    branch: event.branch,
    commit: event.commit,
    run_id: inputs.runId ?? runId(measured, event)
  }
  if (event.headCommit !== undefined && event.headCommit !== event.commit) upload.head_commit = event.headCommit
  if (known.commitTime !== undefined) upload.commit_time = known.commitTime
  if (pull !== undefined) upload.pull_request = pull
  if (event.targetBranch !== undefined) upload.target_branch = event.targetBranch
  // A workflow that follows another has measured nothing: asking it to measure again would be in vain.
  if (event.name !== 'workflow_run') upload.workflow_run = Number(event.runId)
  return upload
}

/** The same for each attempt to send the same results, and another one for each attempt to measure. */
function runId(measured: Measured, event: WorkflowEvent): string {
  const hash = createHash('sha256').update(JSON.stringify(measured)).digest('hex')
  return `${event.runId}-${event.runAttempt}-${hash.slice(0, 16)}`
}
