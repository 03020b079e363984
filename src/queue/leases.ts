/**
 * What is leased, kept in the memory of the database thread.
 *
 * Rules
 * 1. A lease lasts until it is settled or the process ends; it never expires while the holder lives.
 * 2. Everything unsettled before `scanFrom` is leased: looking for what is due begins there, so leased rows at the head of the queue
 *    are not passed over again and again.
 * 3. Changes follow the transaction: `rolledBack` puts them back.
 */
import type { MessageId } from "../mail/message.ts";

export class Leases {
  #byMessage = new Map<MessageId, Set<number>>();
  #size = 0;
  #scanFrom = 0;
  // Changes since the last commit: three entries each.
  #journal: (MessageId | number | boolean)[] = [];

  /** Recipients under lease. */
  get size(): number {
    return this.#size;
  }

  /** No recipient that is free falls due earlier. */
  get scanFrom(): number {
    return this.#scanFrom;
  }

  has(id: MessageId, index: number): boolean {
    return this.#byMessage.get(id)?.has(index) ?? false;
  }

  add(id: MessageId, index: number): void {
    if (this.#add(id, index)) this.#journal.push(id, index, true);
  }

  /** Ends a lease; nothing where there is none. */
  end(id: MessageId, index: number): void {
    if (this.#end(id, index)) this.#journal.push(id, index, false);
  }

  /** A scan found nothing free before `due`. */
  scanned(due: number): void {
    this.#scanFrom = Math.max(this.#scanFrom, due);
  }

  /** Something free falls due at `due`. */
  free(due: number): void {
    if (due < this.#scanFrom) this.#scanFrom = due;
  }

  committed(): void {
    if (this.#journal.length > 0) this.#journal = [];
  }

  rolledBack(): void {
    const journal = this.#journal;
    for (let i = journal.length - 3; i >= 0; i -= 3) {
      const id = journal[i] as MessageId;
      const index = journal[i + 1] as number;
      if (journal[i + 2] === true) this.#end(id, index);
      else this.#add(id, index);
    }
    this.#journal = [];
    this.#scanFrom = 0; // always true, and found again by the next scan
  }

  #add(id: MessageId, index: number): boolean {
    const indexes = this.#byMessage.get(id);
    if (indexes === undefined) this.#byMessage.set(id, new Set([index]));
    else if (indexes.has(index)) return false;
    else indexes.add(index);
    this.#size++;
    return true;
  }

  #end(id: MessageId, index: number): boolean {
    const indexes = this.#byMessage.get(id);
    if (indexes === undefined || !indexes.delete(index)) return false;
    if (indexes.size === 0) this.#byMessage.delete(id);
    this.#size--;
    return true;
  }
}
