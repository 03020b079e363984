/**
 * Moves content from where it is to the session, no faster than the peer takes it.
 *
 * Rules
 * 1. Small content in memory goes in one turn, with the commands around it.
 * 2. What streams is read on only when what was read before has left.
 */
import { type DraftContent, readDraftContent } from "../message/draft-content.ts";

/** Octets that are handed to the stream before it is asked whether there is room; a peer that takes them within the time-out is not too slow. */
const WRITE_SIZE = 64 * 1024;

/** Where content goes. */
export interface ContentTarget {
  push(chunk: Uint8Array): void;
  /** False where the stream asks to wait until `room`. */
  flush(): boolean;
  /** The stream is waited for: a time-out begins anew. */
  waiting(): void;
  /** Nobody takes content any more. */
  over(): boolean;
  /** Asked before the last octets are pushed, or before the end is told where nobody knows which they are. */
  mayEnd(): boolean;
}

export class ContentPump {
  readonly #target: ContentTarget;
  #room: (() => void) | undefined;

  constructor(target: ContentTarget) {
    this.#target = target;
  }

  /** False where the connection ended meanwhile, or the content may not be ended. Rejects where the content cannot be read. */
  async send(content: DraftContent, progress: (sent: number) => void): Promise<boolean> {
    let unflushed = 0;
    let sent = 0;
    // With BDAT the last octet is the end: there is no taking back behind it.
    let asked = false;
    const mayEnd = (): boolean => {
      asked = true;
      return this.#target.mayEnd();
    };
    if (content.kind === "memory" && content.size <= WRITE_SIZE) {
      if (!mayEnd()) return false;
      for (const chunk of content.chunks) this.#target.push(chunk);
      sent = content.size;
    } else {
      for await (const chunk of readDraftContent(content)) {
        if (this.#target.over()) return false;
        if (sent + chunk.length === content.size && !mayEnd()) return false;
        this.#target.push(chunk);
        unflushed += chunk.length;
        sent += chunk.length;
        if (unflushed < WRITE_SIZE) continue;
        unflushed = 0;
        if (!this.#target.flush()) await this.#drained();
        progress(sent);
      }
    }
    progress(sent);
    return !this.#target.over() && (asked || mayEnd());
  }

  /** The stream takes more, or is gone. */
  room(): void {
    this.#room?.();
  }

  #drained(): Promise<void> {
    this.#target.waiting();
    return new Promise((resolve) => {
      this.#room = () => {
        this.#room = undefined;
        resolve();
      };
    });
  }
}
