import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import * as core from '@actions/core'
import { getExecOutput } from '@actions/exec'
import { keepFiles } from './artifact.ts'
import { tell } from './ending.ts'
import type { WorkflowEvent } from './event.ts'
import { Fault } from './fault.ts'
import { pullRequestOfFollowed } from './forks.ts'
import type { Inputs, PushInputs } from './inputs.ts'
import { describeUpload, measure, readKept, type Measured, type Upload } from './payload.ts'
import { Away, Refused, Service, type Authorize, type StoredRun } from './service.ts'
import { writeSummary } from './summary.ts'

/** Sends results to a regressd and ends with its verdict. */
export async function runPush(inputs: PushInputs & Inputs, event: WorkflowEvent): Promise<void> {
  const folder = resolve(inputs.workingDirectory)
  const measured = inputs.upload === undefined ? await measure(inputs, folder) : await readKept(resolve(folder, inputs.upload))
  if (inputs.token === undefined && event.fromFork) {
    core.notice('the code is a fork\'s, which gets no identity token: the results are kept for a workflow on workflow_run to send')
    await keepUpload(inputs.artifact, measured)
    core.setOutput('outcome', 'kept')
    return
  }
  const upload = await complete(measured, inputs, event, folder)
  const service = new Service(inputs.service, authorizeBy(inputs))
  if (inputs.service.protocol === 'http:' && !/^(localhost|127\.|\[::1\])/.test(inputs.service.hostname)) {
    core.warning(`${inputs.service.href} has no TLS: others on the way can read the token`)
  }
  try {
    await pushAndTell(service, upload, inputs)
  } catch (error) {
    if (!(error instanceof Away || error instanceof Refused || error instanceof Fault)) throw error
    await keepUpload(inputs.artifact, measured)
    core.setOutput('outcome', 'not-stored')
    tell(inputs.failOnError, `the results are not stored: ${error.message}${remedy(error)}`)
  }
}

async function complete(measured: Measured, inputs: PushInputs & Inputs, event: WorkflowEvent, folder: string): Promise<Upload> {
  const pullRequest = event.name === 'workflow_run' ? await pullRequestOfFollowed(event, inputs.githubToken) : undefined
  const commitTime = await timeOfCommit(event.headCommit ?? event.commit, folder)
  return describeUpload(measured, inputs, event, { pullRequest, commitTime })
}

/** When the commit was made, if git is there and has it: its place in the history. */
async function timeOfCommit(commit: string, cwd: string): Promise<string | undefined> {
  try {
    const args = ['show', '--no-patch', '--format=%cI', `${commit}^{commit}`]
    const asked = await getExecOutput('git', args, { cwd, silent: true, ignoreReturnCode: true })
    return asked.exitCode === 0 ? asked.stdout.trim() : undefined
  } catch {
    return undefined
  }
}

function authorizeBy(inputs: PushInputs): Authorize {
  const { token, audience } = inputs
  if (token !== undefined) {
    core.setSecret(token)
    return async () => `Bearer ${token}`
  }
  return async () => {
    if (!process.env['ACTIONS_ID_TOKEN_REQUEST_URL']) {
      throw new Fault('this workflow gets no identity token: give the job `permissions: { id-token: write, contents: read }`, or the input token')
    }
    return `Bearer ${await core.getIDToken(audience)}`
  }
}

async function pushAndTell(service: Service, upload: Upload, inputs: PushInputs & Inputs): Promise<void> {
  const stored = await service.push(upload, inputs.maxWait)
  const page = service.pageOf(stored.run)
  core.setOutput('run', String(stored.run))
  core.setOutput('run-url', page)
  core.info(`stored: ${page}`)
  const judged = stored.state === 'judged' ? stored : await service.verdict(stored.run, inputs.wait)
  if (judged === undefined) {
    core.setOutput('outcome', 'queued')
    tell(inputs.failOnError, `there is no verdict yet; it will be at ${page}`)
    return
  }
  await report(judged, page, inputs)
}

async function report(judged: StoredRun, page: string, inputs: Inputs): Promise<void> {
  const outcome = judged.outcome ?? 'not-judged'
  const slower = judged.results.filter((one) => one.verdict === 'regression')
  core.setOutput('outcome', outcome)
  core.setOutput('regressions', String(slower.length))
  for (const problem of judged.problems) core.warning(problem)
  for (const one of slower) core.error(`${one.benchmark} [${one.measure}]: ${one.reason}`, { title: 'slower' })
  await writeSummary(judged, page)
  if (outcome === 'regression' || outcome === 'mixed') {
    const what = slower.length === 1 ? '1 benchmark is' : `${slower.length} benchmarks are`
    tell(inputs.failOnRegression, `${what} slower: ${page}`)
  } else if (outcome === 'suspected') {
    core.warning(`a regression is suspected, which another run of the commit decides: ${page}`)
  } else {
    core.info(`${outcome}: ${page}`)
  }
}

/** Keeps what was measured where it can be fetched again: a file, and an artifact. */
async function keepUpload(artifact: string, measured: Measured): Promise<void> {
  const folder = join(process.env['RUNNER_TEMP'] || '.', 'regressd-upload')
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'upload.json')
  await writeFile(file, JSON.stringify(measured))
  core.setOutput('upload', file)
  await keepFiles(artifact, [file], folder)
}

function remedy(error: Error): string {
  const kept = '. They are in the artifact, and can be sent again with the input upload'
  if (!(error instanceof Refused)) return kept
  if (error.status === 401) return '. The token is unknown there or expired, or the issuer and audience of the service are others'
  if (error.status === 403) return '. Name the repository in oidc.allow of the service, or install its App there'
  if (error.status === 409) return '. Leave run-id out, or give each upload of a commit one of its own'
  if (error.status >= 300 && error.status < 400) return '. The input service is the address under which the service itself answers, redirects aside'
  return kept
}
