/**
 * The methods, done on the stores themselves.
 *
 * Rules
 * 1. A change is answered after its sync.
 */
import type { AccountStore } from "../accounts/account-store.ts";
import { accountName } from "../accounts/index.ts";
import type { DestinationSummary } from "../delivery/delivery.ts";
import { readContent } from "../mail/content.ts";
import { domainKey, isDomain } from "../mail/domain.ts";
import { mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import type { MessageId, NewMessage } from "../mail/message.ts";
import { QueueControl, type Selection } from "../queue/control.ts";
import { FilterError } from "../queue/filter.ts";
import { type QueueStore, type StandingMessage, SUSPENDED, type Suspension } from "../queue/store.ts";
import type { SuppressionKey } from "../queue/suppression.ts";
import { AdminError } from "./admin-error.ts";
import type { AccountSummary, Administration, Method, ParametersOf, Results, TakePart } from "./methods.ts";

export interface OpenStores {
  readonly queue: QueueStore;
  readonly accounts: AccountStore;
  close(): Promise<void>;
}

type Operations = { readonly [M in Method]: (params: ParametersOf<M>, takePart: TakePart) => Promise<Results[M]> };

interface AdministrationOptions {
  readonly now?: () => number;
  /** The server at work on these stores; absent: there is none. */
  readonly server?: RunningServer;
}

/** What only a running server can tell and do. */
export interface RunningServer {
  /** The report on a message that is removed; `undefined` where nobody is to hear of it. */
  reportRemoved(message: StandingMessage, reason: string): Promise<NewMessage | undefined>;
  destinations(): readonly DestinationSummary[];
  /** No destination is left alone any longer. */
  reopenDestinations(): void;
}

/** Works on stores of this process; `close` closes them. */
export function administration(stores: OpenStores, { now = Date.now, server }: AdministrationOptions = {}): Administration {
  const operations = operationsOn(stores, now, server);
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

function operationsOn({ queue, accounts }: OpenStores, now: () => number, server: RunningServer | undefined): Operations {
  const control = new QueueControl(queue, now);
  const list = queue.suppressionList;
  const summary = ({ name, addresses }: AccountSummary): AccountSummary => ({ name, addresses });
  return {
    status: async () => ({ pid: process.pid, queue: await queue.stats() }),
    "queue.list": ({ limit, after, filter = "" }) => control.list(filter, { limit, ...(after === undefined ? {} : { after }) }),
    "queue.count": async (params) => control.count(selectionOf(params)),
    "queue.hold": async ({ reason, until, ...params }) =>
      control.hold(selectionOf(params), { reason, ...(until === undefined ? {} : { until }) }),
    "queue.release": async (params) => control.release(selectionOf(params)),
    "queue.suspend": async ({ kind, value, reason, until }) => {
      await queue.suspend({ kind, value: suspendedValue(kind, value), reason, made: now(), ...(until === undefined ? {} : { until }) });
      return { done: true };
    },
    "queue.resume": async ({ kind, value }) => {
      const key = suspendedValue(kind, value);
      if (!(await queue.resume(kind, key))) return {};
      const field = kind === "domain" ? "to" : kind === "sender" ? "from" : "account";
      return { released: await makeDue(control, `${field}:"${key}"`) };
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
    "queue.retry": async (params) => {
      if (params.dryRun !== true) server?.reopenDestinations();
      return control.retry(selectionOf(params));
    },
    "queue.destinations": async () => {
      if (server === undefined)
        throw new AdminError("no-server", "no server runs on this data folder, so no mail is on its way: start one with `postrider serve`");
      return server.destinations();
    },
    "queue.remove": async ({ bounce: wanted, reason = "removed by the postmaster", ...params }) => {
      if (wanted !== true) return control.remove(selectionOf(params));
      if (server === undefined)
        throw new AdminError(
          "no-server",
          "no server runs on this data folder, and it is the server that writes reports: start it, or remove without a bounce",
        );
      return control.remove(selectionOf(params), { bounce: (message) => server.reportRemoved(message, reason) });
    },
    "suppression.list": ({ limit, account, after }) => {
      const of = account === undefined ? {} : { account: accountName(account) ?? account };
      return list.page({ now: now(), limit, ...of, ...(after === undefined ? {} : { after }) });
    },
    "suppression.add": async ({ reason, until, ...key }) => {
      const suppression = { ...suppressionKey(key), reason, made: now(), ...(until === undefined ? {} : { until }) };
      await list.put(suppression);
      return suppression;
    },
    "suppression.remove": async (key) => ({ removed: await list.remove(suppressionKey(key)) }),
    "suppression.check": async (key) => {
      const { account, mailbox } = suppressionKey(key);
      const [suppression] = await list.find(account, [mailbox], now());
      return suppression === undefined ? {} : { suppression };
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

function selectionOf({ ids, filter = "", dryRun = false }: SelectionParameters): Selection {
  return ids === undefined ? { filter, dryRun } : { ids, dryRun };
}

/** What a suspension has put off. */
async function makeDue(control: QueueControl, filter: string): Promise<number> {
  return (await control.retry({ filter: `${filter} error:"${SUSPENDED}" not state:held` })).messages;
}

/** In the form in which recipients are compared with it. Throws an AdminError. */
function suppressionKey({ account, mailbox }: SuppressionKey): SuppressionKey {
  const name = accountName(account);
  if (name === undefined) throw new AdminError("bad-address", `"${account}" is no name of an account`);
  const parsed = parseMailbox(mailbox);
  if (parsed === undefined) throw new AdminError("bad-address", `"${mailbox}" is no address`);
  return { account: name, mailbox: mailboxKey(parsed) };
}

/** In the form in which mail is compared with it. Throws an AdminError. */
function suspendedValue(kind: Suspension["kind"], value: string): string {
  if (kind === "account") return accountName(value) ?? value;
  const mailbox = kind === "sender" && value.includes("@") ? parseMailbox(value) : undefined;
  if (mailbox !== undefined) return mailboxKey(mailbox);
  if (!isDomain(value)) throw new AdminError("bad-address", `"${value}" is no ${kind === "sender" ? "address and no domain" : "domain"}`);
  return domainKey(value);
}
