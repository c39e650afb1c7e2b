import { readFileSync } from 'node:fs'
import { Fault } from './fault.ts'

/** What the workflow runs for, as far as it can be believed: all of it is GitHub's own word. */
export interface WorkflowEvent {
  name: string
  repository: string
  branch: string | undefined
  commit: string
  /** The head of the pull request, where `commit` is the merge that GitHub made. */
  headCommit: string | undefined
  pullRequest: number | undefined
  baseCommit: string | undefined
  targetBranch: string | undefined
  /** Whether the code is a fork's: then there is no identity token, and no secret. */
  fromFork: boolean
  runId: string
  runAttempt: string
}

interface Payload {
  pull_request?: {
    number: number
    head: { sha: string; ref: string; repo: { full_name: string } | null }
    base: { sha: string; ref: string }
  }
  workflow_run?: { head_sha: string; head_branch: string | null; event: string; head_repository?: { full_name: string } | null }
}

type Environment = Record<string, string | undefined>

/** Reads the event of the workflow. */
export function readEvent(environment: Environment): WorkflowEvent {
  const need = (name: string): string => {
    const value = environment[name]
    if (!value) throw new Fault(`${name} is not set: this action runs in GitHub Actions; elsewhere call benchgate and snippex themselves`)
    return value
  }
  const repository = need('GITHUB_REPOSITORY')
  const payload = readPayload(environment['GITHUB_EVENT_PATH'])
  const common = {
    name: need('GITHUB_EVENT_NAME'),
    repository,
    runId: need('GITHUB_RUN_ID'),
    runAttempt: environment['GITHUB_RUN_ATTEMPT'] || '1'
  }
  const pull = payload.pull_request
  if (pull !== undefined) {
    return {
      ...common,
      branch: pull.head.ref,
      commit: need('GITHUB_SHA'),
      headCommit: pull.head.sha,
      pullRequest: pull.number,
      baseCommit: pull.base.sha,
      targetBranch: pull.base.ref,
      fromFork: pull.head.repo?.full_name !== repository
    }
  }
  const followed = payload.workflow_run
  const none = { headCommit: undefined, pullRequest: undefined, baseCommit: undefined, targetBranch: undefined, fromFork: false }
  if (followed !== undefined) {
    return { ...common, ...none, branch: followed.head_branch ?? undefined, commit: followed.head_sha }
  }
  const reference = environment['GITHUB_REF'] ?? ''
  const branch = reference.startsWith('refs/heads/') ? reference.slice('refs/heads/'.length) : undefined
  return { ...common, ...none, branch, commit: need('GITHUB_SHA') }
}

function readPayload(path: string | undefined): Payload {
  if (!path) return {}
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Payload
  } catch (error) {
    throw new Fault(`the event of the workflow cannot be read from ${path}: ${String(error)}`)
  }
}
