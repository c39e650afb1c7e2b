import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OWN_VERSION } from '../src/program.ts'
import { runAction, serve, temporary } from './tools.ts'

/** The program that the variable names; without it nothing here means anything, so that is a failure. */
function program(variable: string): string {
  const path = process.env[variable]
  if (!path || !existsSync(path)) throw new Error(`${variable} names no program; cargo xtask test --only action sets it`)
  return path
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise((done) => server.close(done))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((done) => setTimeout(done, 50))) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
  }
  throw new Error(`waited in vain for ${what}`)
}

const go = (factor: number) =>
  ['goos: linux', 'goarch: amd64', 'pkg: octo/hello', `BenchmarkParse-8  1000  ${1500 * factor} ns/op`, `BenchmarkRender-8  1000  ${2500 + factor} ns/op`, 'PASS', ''].join('\n')

describe('the bundle, with a real regressd and the fake GitHub', () => {
  const children: ChildProcess[] = []
  let github = ''
  let service = ''
  let issuer: Awaited<ReturnType<typeof serve>>
  let claims: Record<string, string> = {}
  let results: Awaited<ReturnType<typeof serve>>
  const kept: { name: string; bytes: number }[] = []

  beforeAll(async () => {
    const folder = temporary()
    const fake = spawn(program('REGRESSD'), ['simulate', '--only', 'go', '--stay'], { cwd: folder })
    let said = ''
    fake.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    children.push(fake)
    github = await until('the fake GitHub', async () => /GitHub (http:\S+)/.exec(said)?.[1])
    const port = await freePort()
    service = `http://127.0.0.1:${port}`
    const settings = join(folder, 'regressd.toml')
    writeFileSync(settings, `[oidc]\nissuer = "${github}"\naudience = "bench"\nallow = ["octo/*"]\n[server]\nmetrics_listen = ""\n`)
    const regressd = spawn(program('REGRESSD'), ['--config', settings, '--database', join(folder, 'regressd.db'), 'serve', '--listen', `127.0.0.1:${port}`], { cwd: folder })
    let log = ''
    for (const stream of [regressd.stdout, regressd.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()))
    children.push(regressd)
    await until('regressd', async () => ((await fetch(`${service}/health`)).ok ? true : undefined)).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${log}`)
    })
    // What a runner's identity service does: a token of the issuer's, for the audience that is asked for.
    issuer = await serve(async (request, _, response) => {
      const audience = new URL(request.url ?? '', 'http://x').searchParams.get('audience')
      const body = JSON.stringify({ repository: 'octo/hello', ref: 'refs/heads/main', event_name: 'push', aud: audience, ...claims })
      const made = await fetch(`${github}/_fake/workflow-token`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      response.end(await made.text())
    })
    // And its service for artifacts.
    results = await serve((request, body, response) => {
      const path = request.url ?? ''
      if (path.endsWith('CreateArtifact')) {
        kept.push({ name: (JSON.parse(body.toString()) as { name: string }).name, bytes: 0 })
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ ok: true, signed_upload_url: `${results.url}/account/container/blob?sig=x` }))
      } else if (path.endsWith('FinalizeArtifact')) {
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ ok: true, artifact_id: '1' }))
      } else {
        const last = kept.at(-1)
        if (last !== undefined) last.bytes += body.length
        response.writeHead(201, { etag: 'x', 'last-modified': new Date().toUTCString() }).end()
      }
    })
  })

  afterAll(() => {
    for (const child of children) child.kill()
    issuer?.close()
    results?.close()
  })

  const identity = () => ({ ACTIONS_ID_TOKEN_REQUEST_URL: `${issuer.url}/token?api=1`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runner' })
  const artifacts = () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const token = [part({ alg: 'none' }), part({ scp: 'Actions.Results:11:22' }), 'x'].join('.')
    return { ACTIONS_RUNTIME_TOKEN: token, ACTIONS_RESULTS_URL: results.url }
  }
  const sha = (text: string) => createHash('sha1').update(text).digest('hex')

  function measured(...factors: number[]): string {
    const folder = temporary()
    factors.forEach((factor, index) => writeFileSync(join(folder, `bench-${index}.txt`), go(factor)))
    return folder
  }
  const inputs = () => ({ mode: 'push', service, results: 'bench-*.txt', audience: 'bench', environment: 'ci' })

  it('stores a history with an identity token, and fails the run that is far slower', async () => {
    claims = {}
    for (let run = 0; run < 12; run += 1) {
      const noise = 1 + (run % 5) / 1000
      const ended = await runAction(measured(noise), inputs(), {}, { ...identity(), GITHUB_SHA: sha(`main ${run}`), GITHUB_RUN_ID: `${run + 1}` })
      expect(ended.code, ended.log).toBe(0)
      expect(ended.outputs['run-url']).toBe(`${service}/runs/${ended.outputs['run']}`)
    }
    const slow = { ...identity(), GITHUB_SHA: sha('slow'), GITHUB_RUN_ID: '100' }
    const slower = await runAction(measured(3), inputs(), {}, slow)
    expect(slower.outputs, slower.log).toMatchObject({ outcome: 'regression', regressions: '1' })
    expect(slower.code).toBe(1)
    expect(slower.log).toContain('::error title=slower::')
    expect(slower.log).toMatch(/::error::1 benchmark is slower: http/)
    expect(slower.summary).toContain('Benchmarks: regression')
    expect(slower.summary).toMatch(/<tr><td>[^<]*Parse[^<]*<\/td><td>[^<]+<\/td><td>4500 ns<\/td><td>\+\d+\.\d %<\/td><td>regression<\/td><\/tr>/)
    const advisory = await runAction(measured(3), { ...inputs(), 'fail-on-regression': 'false' }, {}, slow)
    expect(advisory.code, advisory.log).toBe(0)
    // The same results of the same attempt are the same run.
    expect(advisory.outputs['run']).toBe(slower.outputs['run'])
  })

  it('sends what a fork measured from a workflow that follows, for the pull request that GitHub names', async () => {
    const head = sha('fork')
    const pull = { number: 7, head: { sha: head, ref: 'main', repo: { full_name: 'eve/hello' } }, base: { sha: sha('main 11'), ref: 'main' } }
    const folder = measured(1)
    const fork = await runAction(folder, inputs(), { pull_request: pull }, { GITHUB_EVENT_NAME: 'pull_request', ...artifacts() })
    expect(fork.code, fork.log).toBe(0)
    expect(fork.outputs, fork.log).toMatchObject({ outcome: 'kept', artifact: 'regressd-upload' })
    expect(kept.at(-1)).toMatchObject({ name: 'regressd-upload' })
    expect(kept.at(-1)?.bytes).toBeGreaterThan(200)

    claims = { event_name: 'workflow_run' }
    const api = await serve((request, _, response) => {
      const asked = request.url === `/repos/octo/hello/pulls?state=open&per_page=100&head=${encodeURIComponent('eve:main')}`
      response.end(JSON.stringify(asked && request.headers.authorization === 'Bearer ghs' ? [{ number: 6, head: { sha: sha('x') } }, { number: 7, head: { sha: head } }] : []))
    })
    const followed = { event: 'pull_request', head_sha: head, head_branch: 'main', head_repository: { full_name: 'eve/hello', owner: { login: 'eve' } }, pull_requests: [] }
    const upload = { ...inputs(), results: '', environment: '', upload: fork.outputs['upload'] ?? '', 'github-token': 'ghs' }
    const environment = { ...identity(), GITHUB_EVENT_NAME: 'workflow_run', GITHUB_API_URL: api.url, GITHUB_RUN_ID: '200' }
    const sent = await runAction(folder, upload, { workflow_run: followed }, environment)
    expect(sent.code, sent.log).toBe(0)
    expect(sent.outputs['outcome']).toBe('unchanged')
    const gone = await runAction(folder, upload, { workflow_run: { ...followed, head_sha: sha('gone') } }, environment)
    expect(gone.code).toBe(1)
    expect(gone.log).toContain('no open pull request has the commit')
    api.close()
  })

  it('keeps what a service does not take, warns, and fails only where that is asked for', async () => {
    claims = { repository: 'eve/other' }
    const refused = await runAction(measured(1), inputs(), {}, { ...identity(), ...artifacts() })
    expect(refused.code, refused.log).toBe(0)
    expect(refused.log).toContain('::warning::the results are not stored: the service refuses it (403)')
    expect(refused.outputs, refused.log).toMatchObject({ outcome: 'not-stored', artifact: 'regressd-upload' })
    expect(JSON.parse(readFileSync(refused.outputs['upload'] ?? '', 'utf8'))).toMatchObject({ environment: { name: 'ci' } })

    const away = { ...inputs(), service: `http://127.0.0.1:${await freePort()}`, 'max-wait': '1s', 'fail-on-error': 'true' }
    const strict = await runAction(measured(1), away, {}, identity())
    expect(strict.code).toBe(1)
    expect(strict.log).toMatch(/::error::the results are not stored: .*ECONNREFUSED/)

    const nobody = await runAction(measured(1), inputs(), {}, {})
    expect(nobody.code, nobody.log).toBe(0)
    expect(nobody.log).toContain('permissions: { id-token: write, contents: read }')
  })
})

describe('the bundle, with a real benchgate', () => {
  function project(): { folder: string; base: string } {
    const folder = temporary()
    const git = (...args: string[]) => execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.org', ...args], { cwd: folder }).toString().trim()
    const script = (nanoseconds: number) => {
      writeFileSync(join(folder, 'bench.sh'), `#!/bin/sh\necho "test parse ... bench: ${nanoseconds} ns/iter (+/- 3)"\n`)
      chmodSync(join(folder, 'bench.sh'), 0o755)
      writeFileSync(join(folder, '.gitignore'), 'target\n')
    }
    git('init', '-q', '-b', 'main')
    script(1000)
    git('add', '.')
    git('commit', '-q', '-m', 'base')
    const base = git('rev-parse', 'HEAD')
    script(1300)
    git('commit', '-q', '-a', '-m', 'slower')
    return { folder, base }
  }

  it('compares a pull request with its base, and fails when it is slower', async () => {
    const { folder, base } = project()
    const head = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: folder }).toString().trim()
    const pull = { number: 7, head: { sha: head, ref: 'topic', repo: { full_name: 'octo/hello' } }, base: { sha: base, ref: 'main' } }
    const inputs = { mode: 'gate', command: './bench.sh', runs: '5', program: program('BENCHGATE'), artifact: 'benchgate' }
    const slower = await runAction(folder, inputs, { pull_request: pull }, { GITHUB_EVENT_NAME: 'pull_request' })
    expect(slower.outputs, slower.log).toMatchObject({ outcome: 'regression', regressions: '1', 'exit-code': '1' })
    expect(slower.code).toBe(1)
    expect(slower.log).toContain('1 benchmark is slower')
    expect(slower.log).toContain('there is no service for artifacts here')
    expect(slower.summary).toContain('parse')
    expect(readFileSync(slower.outputs['report']?.replace('.json', '.html') ?? '', 'utf8')).toContain('<!doctype html>')
    const same = await runAction(folder, { ...inputs, base: 'HEAD' }, {}, {})
    expect(same.outputs['outcome'], same.log).toBe('unchanged')
    expect(same.code).toBe(0)
    const broken = await runAction(folder, { ...inputs, command: './nothing', base: 'HEAD' }, {}, {})
    expect(broken.code).toBe(1)
    expect(broken.log).toContain('the job could not be done (exit code 2)')
  })

  it('says what a checkout without history lacks', async () => {
    const { folder } = project()
    const shallow = temporary()
    execFileSync('git', ['clone', '-q', '--depth', '1', `file://${folder}`, join(shallow, 'x')])
    const inputs = { mode: 'gate', base: 'main', program: program('BENCHGATE') }
    expect((await runAction(join(shallow, 'x'), inputs, {})).log).toContain('fetch-depth: 0')
    expect((await runAction(temporary(), inputs, {})).log).toContain('is no git repository')
  })

  it('downloads the release that is asked for, and refuses one that is not what its checksum says', async () => {
    const { folder } = project()
    const target = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu`
    const name = `benchgate-${OWN_VERSION}-${target}`
    const made = temporary()
    mkdirSync(join(made, name))
    // The program itself is hundreds of megabytes with its symbols; a script that starts it is a program as well.
    writeFileSync(join(made, name, 'benchgate'), `#!/bin/sh\nexec '${program('BENCHGATE')}' "$@"\n`)
    chmodSync(join(made, name, 'benchgate'), 0o755)
    execFileSync('tar', ['-czf', `${name}.tar.gz`, name], { cwd: made })
    const archive = readFileSync(join(made, `${name}.tar.gz`))
    let sum = createHash('sha256').update(archive).digest('hex')
    const releases = await serve((request, _, response) => {
      if (request.url === `/v/${name}.tar.gz`) response.end(archive)
      else if (request.url === `/v/${name}.tar.gz.sha256`) response.end(`${sum}  ${name}.tar.gz\n`)
      else response.writeHead(404).end()
    })
    const inputs = { mode: 'gate', command: './bench.sh', base: 'HEAD', runs: '5', version: OWN_VERSION, 'download-url': `${releases.url}/v/` }
    const good = await runAction(folder, inputs, {})
    expect(good.code, good.log).toBe(0)
    expect(good.log).toContain(`downloading ${releases.url}/v/${name}.tar.gz`)
    sum = '0'.repeat(64)
    const changed = await runAction(folder, inputs, {})
    expect(changed.code).toBe(1)
    expect(changed.log).toContain('it was damaged or changed on the way')
    const missing = await runAction(folder, { ...inputs, version: '9.9.9' }, {})
    expect(missing.log).toContain('cannot be fetched')
    releases.close()
  })
})

describe('the bundle, with a real snippex', () => {
  it('holds a program against its baseline', async () => {
    const folder = temporary()
    const inputs = { mode: 'snippex', files: '/bin/true', engine: 'qemu-x86_64', program: program('SNIPPEX'), arguments: '--states 2' }
    const without = await runAction(folder, inputs, {})
    expect(without.code).toBe(1)
    expect(without.log).toContain('make it with `snippex regression record /bin/true -e qemu-x86_64`')
    const home = temporary()
    execFileSync(program('SNIPPEX'), ['regression', 'record', '/bin/true', '-e', 'qemu-x86_64', '--states', '2'], { cwd: folder, env: { ...process.env, HOME: home }, stdio: 'pipe' })
    const same = await runAction(folder, inputs, {})
    expect(same.code, same.log).toBe(0)
    expect(same.outputs).toMatchObject({ outcome: 'unchanged', 'exit-code': '0' })
    expect(readFileSync(same.outputs['report'] ?? '', 'utf8')).toContain('<testsuite')
    // A baseline that says that every block fails: all of them are fixed, which is to be written down.
    const path = join(folder, 'snippex-baseline.txt')
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/^pass (\w+)$/gm, 'fail $1 mxcsr-de'))
    const fixed = await runAction(folder, inputs, {})
    expect(fixed.code, fixed.log).toBe(1)
    expect(fixed.outputs['outcome']).toBe('regression')
    expect(fixed.log).toContain('blocks are not as snippex-baseline.txt says')
  })
})
