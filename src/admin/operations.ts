/**
 * The methods, done on the stores themselves.
 *
 * Rules
 * 1. A change is answered after its sync.
 */
import type { AccountStore } from "../accounts/account-store.ts";
import { accountName } from "../accounts/index.ts";
import { readContent } from "../mail/content.ts";
import { domainKey, isDomain } from "../mail/domain.ts";
import { mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import type { MessageId, NewMessage } from "../mail/message.ts";
import { type Counted, QueueControl, type Selection } from "../queue/control.ts";
import { FilterError } from "../queue/filter.ts";
import type { QueueStore, StandingMessage, Suspension } from "../queue/store.ts";
import { AdminError } from "./admin-error.ts";
import type { AccountSummary, Administration, Method, ParametersOf, Results, TakePart } from "./methods.ts";

export interface OpenStores {
  readonly queue: QueueStore;
  readonly accounts: AccountStore;
  close(): Promise<void>;
}

type Operations = { readonly [M in Method]: (params: ParametersOf<M>, takePart: TakePart) => Promise<Results[M]> };

export interface AdministrationOptions {
  readonly now?: () => number;
  /** Makes the report on a message that is removed, with the reason; absent: none can be made here. */
  readonly bounce?: (message: StandingMessage, reason: string) => Promise<NewMessage | undefined>;
}

/** Works on stores of this process; `close` closes them. */
export function administration(stores: OpenStores, { now = Date.now, bounce }: AdministrationOptions = {}): Administration {
  const operations = operationsOn(stores, now, bounce);
  return {
    call: async (method, params, takePart = () => {}) => {
      try {
        return await operations[method](params, takePart);
      } catch (error) {
        if (error instanceof FilterError)
          throw new AdminError("bad-filter", `the filter cannot be read: ${error.message}`, { cause: error });
        throw error;
      }
    },
    close: () => stores.close(),
  };
}

function operationsOn({ queue, accounts }: OpenStores, now: () => number, bounce: AdministrationOptions["bounce"]): Operations {
  const control = new QueueControl(queue, now);
  const selected = async (params: SelectionParameters, work: (selection: Selection) => Promise<Counted>): Promise<Counted> => {
    const { ids, filter = "", dryRun } = params;
    const selection = ids === undefined ? { filter } : { ids };
    return dryRun === true ? control.count(selection) : work(selection);
  };
  const summary = ({ name, addresses }: AccountSummary): AccountSummary => ({ name, addresses });
  return {
    status: async () => ({ pid: process.pid, queue: await queue.stats() }),
    "queue.list": ({ limit, after, filter = "" }) => control.list(filter, { limit, ...(after === undefined ? {} : { after }) }),
    "queue.count": (params) => selected({ ...params, dryRun: true }, (selection) => control.count(selection)),
    "queue.hold": ({ reason, until, ...params }) =>
      selected(params, (selection) => control.hold(selection, { reason, ...(until === undefined ? {} : { until }) })),
    "queue.release": (params) => selected(params, (selection) => control.release(selection)),
    "queue.suspend": async ({ kind, value, reason, until }) => {
      await queue.suspend({ kind, value: suspendedValue(kind, value), reason, made: now(), ...(until === undefined ? {} : { until }) });
      return { done: true };
    },
    "queue.resume": async ({ kind, value }) => {
      const key = suspendedValue(kind, value);
      if (!(await queue.resume(kind, key))) return {};
      const field = kind === "domain" ? "to" : kind === "sender" ? "from" : "account";
      return { released: await makeDue(queue, `${field}:"${key}"`, now) };
    },
    "queue.suspensions": () => queue.suspensions(now()),
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
    "queue.retry": ({ dryRun, ...params }) => selected(params, (selection) => control.retry(selection, { dryRun: dryRun === true })),
    "queue.remove": ({ bounce: wanted, reason = "removed by the postmaster", ...params }) => {
      if (wanted !== true) return selected(params, (selection) => control.remove(selection));
      if (bounce === undefined)
        throw new AdminError("no-reports", "no report can be made without the configuration: name it with --config");
      return selected(params, (selection) => control.remove(selection, { bounce: (message) => bounce(message, reason) }));
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

interface SelectionParameters {
  readonly ids?: readonly MessageId[] | undefined;
  readonly filter?: string | undefined;
  readonly dryRun?: boolean | undefined;
}

/** What was put off without an end, and would not fall due by itself. */
async function makeDue(queue: QueueStore, filter: string, now: () => number): Promise<number> {
  const control = new QueueControl(queue, now);
  return (await control.retry({ filter: `${filter} not state:held` })).messages;
}

/** In the form in which mail is compared with it. Throws an AdminError. */
function suspendedValue(kind: Suspension["kind"], value: string): string {
  if (kind === "account") return accountName(value) ?? value;
  const mailbox = kind === "sender" && value.includes("@") ? parseMailbox(value) : undefined;
  if (mailbox !== undefined) return mailboxKey(mailbox);
  if (!isDomain(value)) throw new AdminError("bad-address", `"${value}" is no ${kind === "sender" ? "address and no domain" : "domain"}`);
  return domainKey(value);
}
