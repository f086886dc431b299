export interface EnvironmentVariable {
  readonly key: string;
  readonly value: string;
}
