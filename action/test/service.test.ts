import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { Fault } from '../src/fault.ts'
import { Away, Refused, Service } from '../src/service.ts'
import { summaryRows } from '../src/summary.ts'
import { serve } from './tools.ts'

const stored = { run: 3, state: 'judged', results: [], problems: [] }

describe('a service', () => {
  it('that fails is asked again with the same upload and a new token, not before it wants to be', async () => {
    const seen: { at: number; token: string | undefined; body: string }[] = []
    const server = await serve((request, body, response) => {
      seen.push({ at: Date.now(), token: request.headers.authorization, body: gunzipSync(body).toString() })
      if (seen.length === 1) request.socket.destroy()
      else if (seen.length === 2) response.writeHead(503, { 'retry-after': '2' }).end('{"detail": "busy"}')
      else response.end(JSON.stringify(stored))
    })
    let tokens = 0
    const service = new Service(new URL(server.url), async () => `Bearer ${++tokens}`)
    expect(await service.push({ run_id: 'x' }, 60_000)).toEqual(stored)
    server.close()
    expect(seen.map((one) => one.token)).toEqual(['Bearer 1', 'Bearer 2', 'Bearer 3'])
    expect(new Set(seen.map((one) => one.body))).toEqual(new Set(['{"run_id":"x"}']))
    expect((seen[2]?.at ?? 0) - (seen[1]?.at ?? 0)).toBeGreaterThanOrEqual(1990)
  })

  it('that stays away is given up in time, with what was wrong', async () => {
    const server = await serve((_, __, response) => response.writeHead(502).end('<html>bad\n gateway</html>'))
    const service = new Service(new URL(server.url), async () => 'Bearer x')
    await expect(service.push({}, 1200)).rejects.toThrow(new Away('it answers 502: <html>bad gateway</html>'))
    server.close()
    await expect(service.push({}, 100)).rejects.toThrow(/ECONNREFUSED/)
  })

  it('that refuses, redirects or is another program is not asked again', async () => {
    let asked = 0
    const answers: Record<string, [number, string]> = { '/a/analyze': [422, '{"detail": "no measurement"}'], '/b/analyze': [302, ''], '/c/analyze': [200, '<html>'] }
    const server = await serve((request, _, response) => {
      asked += 1
      const [status, text] = answers[request.url ?? ''] ?? [500, '']
      response.writeHead(status, { location: 'https://elsewhere.example' }).end(text)
    })
    const at = (path: string) => new Service(new URL(server.url + path), async () => 'Bearer x').push({}, 10_000)
    await expect(at('/a')).rejects.toThrow(new Refused(422, 'no measurement'))
    await expect(at('/b/')).rejects.toThrow('(302)')
    await expect(at('/c')).rejects.toThrow('no regressd')
    const without = new Service(new URL(server.url), async () => { throw new Fault('no token') })
    await expect(without.push({}, 10_000)).rejects.toThrow('no token')
    server.close()
    expect(asked).toBe(3)
  })

  it('that has no verdict in time has none', async () => {
    let asked = 0
    const server = await serve((_, __, response) => {
      asked += 1
      const state = asked < 3 ? 'queued' : 'judged'
      response.end(JSON.stringify({ run: { run: 3, state, outcome: 'unchanged' }, results: [], problems: [] }))
    })
    const service = new Service(new URL(server.url), async () => 'Bearer x')
    expect(await service.verdict(3, 300)).toBeUndefined()
    expect(await service.verdict(3, 30_000)).toMatchObject({ run: 3, outcome: 'unchanged' })
    server.close()
  })
})

it('the summary shows the worst first, and no markup of strangers', () => {
  const row = (benchmark: string, verdict: string, percent: number | null) => ({
    benchmark, measure: 'time', unit: 'ns', verdict, current_value: 12345.678, baseline_value: null, percent_change: percent, reason: ''
  })
  const rows = summaryRows([row('same', 'unchanged', 0.1), row('<b>@octo', 'regression', 7), row('worse', 'regression', 40), row('odd', 'something-new', null)])
  expect(rows.map((cells) => cells[0])).toEqual(['worse', '&lt;b&gt;@\u200bocto', 'same', 'odd'])
  expect(rows[0]).toEqual(['worse', '', '12350 ns', '+40.0 %', 'regression'])
})
