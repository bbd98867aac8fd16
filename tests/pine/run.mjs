// Runs Pine scripts on bars in PineTS. Reads {mintick, bars: {name: {time, open, high, low, close, volume}}, jobs:
// [{bars, script}]} from stdin, times in milliseconds; writes one result a job to stdout. The package is found from
// the folder in PINETS, where it was installed.
import { createRequire } from "node:module";
import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

const { PineTS } = createRequire(join(process.env.PINETS, "package.json"))("pinets");

const { mintick, bars, jobs } = JSON.parse(readFileSync(0, "utf8"));

function candles({ time, open, high, low, close, volume }) {
  return time.map((openTime, i) => ({
    openTime, closeTime: (time[i + 1] ?? openTime + 1) - 1,
    open: open[i], high: high[i], low: low[i], close: close[i], volume: volume[i],
  }));
}

function market(name) {
  const data = candles(bars[name]);
  return {
    getMarketData: async () => data,
    getSymbolInfo: async () => ({ ticker: name, tickerid: name, mintick, pointvalue: 1, timezone: "UTC" }),
  };
}

const trade = (t) => ({
  entry_bar: t.entry_bar_index, exit_bar: t.exit_bar_index ?? null, size: t.size,
  entry_price: t.entry_price, exit_price: t.exit_price ?? null, profit: t.profit ?? null,
});

const results = [];
for (const { bars: name, script } of jobs) {
  const context = await new PineTS(market(name), name, "60").run(script);
  const { equity, closedtrades, opentrades } = context.strategy;
  const targets = context.plots.target.data.map((point) => point.value);
  results.push({ equity, targets, closed: closedtrades.map(trade), open: opentrades.map(trade) });
}
let text = Buffer.from(JSON.stringify(results));
while (text.length) text = text.subarray(writeSync(1, text));
