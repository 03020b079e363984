/**
 * The methods, done on the stores themselves.
 *
 * Rules
 * 1. A change is answered after its sync.
 */
import type { AccountStore } from "../accounts/account-store.ts";
import { readContent } from "../mail/content.ts";
import type { MessageId } from "../mail/message.ts";
import type { QueueStore } from "../queue/store.ts";
import { AdminError } from "./admin-error.ts";
import type { AccountSummary, Administration, Method, ParametersOf, Results, TakePart } from "./methods.ts";

export interface OpenStores {
  readonly queue: QueueStore;
  readonly accounts: AccountStore;
  close(): Promise<void>;
}

type Operations = { readonly [M in Method]: (params: ParametersOf<M>, takePart: TakePart) => Promise<Results[M]> };

/** Works on stores of this process; `close` closes them. */
export function administration(stores: OpenStores, now: () => number = Date.now): Administration {
  const operations = operationsOn(stores, now);
  return {
    call: (method, params, takePart = () => {}) => operations[method](params, takePart),
    close: () => stores.close(),
  };
}

function operationsOn({ queue, accounts }: OpenStores, now: () => number): Operations {
  const summary = ({ name, addresses }: AccountSummary): AccountSummary => ({ name, addresses });
  return {
    status: async () => ({ pid: process.pid, queue: await queue.stats() }),
    "queue.list": ({ limit, after }) => queue.list({ limit, ...(after === undefined ? {} : { after }) }),
    "queue.show": async ({ id }) => {
      const message = await queue.show(id);
      return message === undefined ? {} : { message };
    },
    "queue.content": async ({ id }, takePart) => {
      const content = await queue.content(id);
      if (content === undefined) throw new AdminError("no-message", `there is no message ${id} in the queue`);
      for await (const chunk of readContent(content)) await takePart(chunk);
      return { size: content.size };
    },
    "queue.retry": async ({ ids }) => {
      if (ids === undefined) return { recipients: await queue.retry(now()), unknown: [] };
      const unknown = await missing(queue, ids);
      return { recipients: await queue.retry(now(), ids), unknown };
    },
    "queue.remove": async ({ ids }) => {
      const removed = await queue.remove(ids);
      const found = new Set(removed);
      return { removed, unknown: ids.filter((id) => !found.has(id)) };
    },
    "user.add": async ({ name, password, addresses }) =>
      summary(await accounts.add({ name, password, ...(addresses === undefined ? {} : { addresses }) })),
    "user.list": async () => (await accounts.list()).map(summary),
    "user.passwd": async ({ name, password }) => {
      await accounts.setPassword(name, password);
      return { done: true };
    },
    "user.remove": async ({ name }) => {
      await accounts.remove(name);
      return { done: true };
    },
  };
}

async function missing(queue: QueueStore, ids: readonly MessageId[]): Promise<MessageId[]> {
  const found = await Promise.all(ids.map((id) => queue.show(id)));
  return ids.filter((_, i) => found[i] === undefined);
}
