export interface BenchReport {
  readonly title: string;
  readonly rows: ReadonlyArray<Readonly<Record<string, string | number>>>;
  readonly note?: string;
}
