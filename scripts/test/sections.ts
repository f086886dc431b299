/** The output of one stage. */
export interface Section {
  line(text: string): void;
  /** The stream for the stage's commands. Undefined if they write to the streams of this process. */
  readonly redirect: ((text: string) => void) | undefined;
  /** Call it when the stage has ended. */
  end(): void;
}

/** For stages that run one after another. */
export const directSection: Section = { line: (text) => console.log(text), redirect: undefined, end: () => {} };

/**
 * Sections for stages that run at the same time. The output of each stays together, in the order of the stages: the
 * first one that has not ended writes at once, and the text of a later one is kept until then.
 *
 * @param write absent if the stages run one after another
 */
export function openSections<Stage>(stages: readonly Stage[], write?: (text: string) => void) {
  const kept = stages.map(() => "");
  const hasEnded = stages.map(() => false);
  let current = 0;

  function flush(index: number): void {
    const text = kept[index] ?? "";
    kept[index] = "";
    if (text !== "") write?.(text);
  }

  function openSection(index: number): Section {
    const redirect = (text: string) => {
      kept[index] += text;
      if (index === current) flush(index);
    };
    return {
      line: (text) => redirect(`${text}\n`),
      redirect,
      end: () => {
        hasEnded[index] = true;
        while (hasEnded[current]) flush(++current);
      },
    };
  }

  return {
    sections: stages.map((stage, index) => [stage, write ? openSection(index) : directSection] as const),
    /** Writes all kept text. For when the stages are stopped. */
    flushAll: () => {
      for (const index of kept.keys()) flush(index);
    },
  };
}
