import { readFileSync } from 'node:fs'
import type { WorkflowEvent } from './event.ts'
import { Fault } from './fault.ts'

/**
 * The pull request of the workflow that this one follows. Events of forks name none, and what the fork's own files say
 * cannot be believed, so GitHub is asked which open pull request has the commit for its head.
 */
export async function pullRequestOfFollowed(event: WorkflowEvent, token: string | undefined): Promise<number | undefined> {
  const path = process.env['GITHUB_EVENT_PATH']
  const followed = path === undefined ? undefined : (JSON.parse(readFileSync(path, 'utf8')) as Followed).workflow_run
  if (followed?.event !== 'pull_request') return undefined
  const known = followed.pull_requests?.find((pull) => pull.head.sha === event.commit)
  if (known !== undefined) return known.number
  const owner = followed.head_repository?.owner.login
  const head = owner === undefined || followed.head_branch === null ? '' : `&head=${encodeURIComponent(`${owner}:${followed.head_branch}`)}`
  const address = `${process.env['GITHUB_API_URL'] || 'https://api.github.com'}/repos/${event.repository}/pulls?state=open&per_page=100${head}`
  const answer = await fetch(address, {
    headers: { accept: 'application/vnd.github+json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    signal: AbortSignal.timeout(60_000)
  })
  if (!answer.ok) {
    throw new Fault(`GitHub does not say which pull request has the commit ${event.commit} (${answer.status}): the workflow needs permissions: pull-requests: read`)
  }
  const pulls = (await answer.json()) as { number: number; head: { sha: string } }[]
  const found = pulls.find((pull) => pull.head.sha === event.commit)
  if (found === undefined) throw new Fault(`no open pull request has the commit ${event.commit} for its head: it was pushed over, or closed`)
  return found.number
}

interface Followed {
  workflow_run?: {
    event: string
    head_branch: string | null
    head_repository?: { owner: { login: string } } | null
    pull_requests?: { number: number; head: { sha: string } }[]
  }
}
