import { describe, expect, it } from 'vitest';

import { answersOf } from '@/report/answers';

const ANSWER = { verdict: 'Stay.', plans: [{ reasons: ['Fast.', 'Cheap.'] }] };
const report = answersOf({
  answers: [
    {
      path: '/api/v1/plan',
      body: { job: { model: 'm', plan: { tp: 2, pp: 1 } }, top: 5 },
      is_refused: false,
      answer: ANSWER,
      chinese: [{ place: ['plans', 0, 'reasons', 1], text: '便宜。' }],
    },
    { path: '/api/v1/plan', body: { why: 'dp=1' }, is_refused: true, answer: { errors: [] }, chinese: [] },
  ],
});

async function asked(schemaPath: string, body: unknown, language = 'en') {
  const request = new Request('http://x/', {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'Accept-Language': language },
  });
  const response = (await report.onRequest?.({ request, schemaPath } as never)) as Response;
  return { status: response.status, value: (await response.json()) as unknown };
}

describe('a report', () => {
  it('answers a request in whatever order its keys stand', async () => {
    const body = { top: 5, job: { plan: { pp: 1, tp: 2 }, model: 'm' } };
    expect(await asked('/api/v1/plan', body)).toEqual({ status: 200, value: ANSWER });
  });

  it('tells sentences in Chinese, and keeps the rest', async () => {
    const body = { job: { model: 'm', plan: { tp: 2, pp: 1 } }, top: 5 };
    const { value } = await asked('/api/v1/plan', body, 'zh-CN');
    expect(value).toEqual({ verdict: 'Stay.', plans: [{ reasons: ['Fast.', '便宜。'] }] });
    expect(ANSWER.plans[0]?.reasons[1]).toBe('Cheap.');
  });

  it('refuses what the engine refused', async () => {
    expect((await asked('/api/v1/plan', { why: 'dp=1' })).status).toBe(422);
  });

  it('has no answer to what is not in it: another path, other values', async () => {
    const { status, value } = await asked('/api/v1/plan', { why: 'dp=2' });
    expect(status).toBe(404);
    expect(value).toMatchObject({ errors: [{ code: 'not_in_report' }] });
    expect((await asked('/api/v1/predict', { why: 'dp=1' })).status).toBe(404);
  });
});
