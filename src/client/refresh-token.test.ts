import assert from "node:assert/strict";
import { test } from "node:test";
import { refreshedToken } from "./refresh-token.ts";

const options = { url: "https://login.test/token", clientId: "id", clientSecret: "hush", refreshToken: "again" };

function answering(...answers: readonly [status: number, body: string][]): { asked: string[]; fetch: typeof fetch } {
  const asked: string[] = [];
  const fetchOne = async (_url: unknown, init?: RequestInit): Promise<Response> => {
    const [status, body] = answers[Math.min(asked.length, answers.length - 1)] as [number, string];
    asked.push(String(init?.body));
    return new Response(body, { status });
  };
  return { asked, fetch: fetchOne as typeof fetch };
}

test("a token is asked for once, and again where it was refused", async () => {
  const { asked, fetch } = answering([200, '{"access_token":"one","expires_in":3600}'], [200, '{"access_token":"two"}']);
  const source = refreshedToken({ ...options, fetch });
  const first = await source({ refused: false });
  assert.equal(typeof first === "string" ? first : first.token, "one");
  await source({ refused: false });
  assert.equal(asked.length, 1);
  assert.equal(asked[0], "grant_type=refresh_token&client_id=id&refresh_token=again&client_secret=hush");
  const second = await source({ refused: true });
  assert.equal(typeof second === "string" ? second : second.token, "two");
});

test("what goes wrong is said without secrets", async () => {
  for (const [answer, words] of [
    [[400, '{"error":"invalid_grant"}'], /login\.test: .*no token \(invalid_grant\)/],
    [[500, "<html>"], /answered 500, and not in JSON/],
    [[200, "{}"], /no token \(200\)/],
  ] as const) {
    const { fetch } = answering([answer[0], answer[1]]);
    await assert.rejects(
      async () => refreshedToken({ ...options, fetch })({ refused: false }),
      (error: Error) => words.test(error.message) && !/hush|again/.test(error.message),
    );
  }
});
