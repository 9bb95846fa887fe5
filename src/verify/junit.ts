import { escapeHtml } from '../lib/html.js';
import { visible } from '../lib/quote.js';
import type { Findings } from './jsonReport.js';
import { originText, worstText } from './report.js';
import type { Row } from './verify.js';

/**
 * Renders a report in the XML of JUnit, as CI services read it: one test case an activation. A mismatch is a failure with its
 * verdict; an activation that was not compared is skipped. https://github.com/testmoapp/junitxml
 *
 * @param suite the name of the suite
 * @param verdict the summary, which goes to the output of the suite
 */
export function renderJunit({ rows, notCompared, notes }: Findings, suite: string, verdict: string): string {
  const failures = rows.filter(({ status }) => status !== 'OK').length;
  const counts = `tests="${rows.length + notCompared.length}" failures="${failures}" errors="0" skipped="${notCompared.length}"`;
  const properties = notes.map((text) => `      <property name="note" value="${xml(text)}"/>`);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite name="${xml(suite)}" ${counts}>`,
    ...(notes.length > 0 ? ['    <properties>', ...properties, '    </properties>'] : []),
    ...rows.map(testCase),
    ...notCompared.map((name) => `    <testcase name="${xml(name)}" classname="not compared"><skipped/></testcase>`),
    `    <system-out>${verdict.split('\n').map(xml).join('\n')}</system-out>`,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function testCase(row: Row): string {
  const start = `    <testcase name="${xml(row.name)}" classname="${xml(row.op)}"`;
  if (row.status === 'OK') return `${start}/>`;
  const verdict = `${row.status}: ${originText(row)}`;
  return `${start}><failure type="${row.status}" message="${xml(verdict)}">${xml(worstText(row))}</failure></testcase>`;
}

/** Escapes text for XML, which has no form at all for control characters. */
function xml(text: string): string {
  return escapeHtml(visible(text)).replaceAll("'", '&apos;');
}
