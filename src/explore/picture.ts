/**
 * The picture of a schedule: one page of HTML with everything in it, for people who have not seen the code.
 *
 *  1. No script, and nothing from elsewhere: the page may be kept, mailed and attached.
 *  2. Every text from the schedule is escaped, whatever it says.
 *  3. Each event is a link, so the keyboard reaches it; what it leads to is shown by `:target`.
 */
import { schemeByName } from '../locking/schemes.js';
import type { Replayed } from './explore.js';
import { causeOf, turnInWords, turnsOf } from './picture-account.js';
import { drawSchedule } from './picture-drawing.js';
import { countSteps } from './picture-lanes.js';
import { escaped } from './picture-markup.js';
import { PICTURE_STYLE } from './picture-style.js';
import { eventInWords, failureInWords, operationInWords } from './picture-words.js';
import type { TraceEvent } from './trace.js';

export function drawPicture(replayed: Replayed): string {
  const { scenario, scheme } = replayed;
  const title = `${scenario.name} under ${scheme}`;
  return [
    '<!DOCTYPE html>',
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
    '<link rel="icon" href="data:,">',
    `<title>${escaped(title)}</title>`,
    `<style>${PICTURE_STYLE}${columnStyle(countSteps(replayed))}</style></head><body>`,
    header(replayed, title),
    account(replayed),
    `<section class="wide" id="picture"><h2>The picture</h2><p class="soft">Time goes to the right, one column a step. Choose a step to see its line of source and the state after it.</p>${drawSchedule(replayed)}</section>`,
    LEGEND,
    `<section class="wide"><h2>Every step</h2><ol class="listing">${replayed.events.map((event) => listed(event, replayed.events.length)).join('\n')}</ol></section>`,
    footer(replayed),
    '</body></html>',
    '',
  ].join('\n');
}

/** The column of the step that is shown. */
function columnStyle(steps: number): string {
  const rules = Array.from({ length: steps }, (_, i) => `:root:has(#step-${i + 1}:target) #column-${i + 1}`);
  return `${rules.join(', ')} { opacity: .22; }\n`;
}

function header({ scenario, scheme, failure }: Replayed, title: string): string {
  const table = schemeByName(scheme);
  const about = table === undefined ? '' : ` <span class="soft">${escaped(sentence(table.description))}</span>`;
  const threads = scenario.threads.map(({ name, operations }, thread) => {
    const words = operations.map(operationInWords).join(', then ');
    return `<li><b class="t${thread % 4}">${escaped(name)}</b> ${escaped(words)}</li>`;
  });
  const verdict =
    failure === null
      ? '<div class="verdict right"><b>Nothing went wrong</b> in this schedule.</div>'
      : `<div class="verdict"><b>${escaped(failureInWords(failure.kind))}</b><div class="message">${escaped(failure.kind)}: ${escaped(failure.message)}</div></div>`;
  return `<header><h1>${escaped(title)}</h1><p>${escaped(sentence(scenario.description))} The locking scheme is <code>${escaped(scheme)}</code>.${about}</p>${verdict}<ul>${threads.join('')}</ul></header>`;
}

function account(replayed: Replayed): string {
  const { failure } = replayed;
  const turns = turnsOf(replayed).map((turn) => {
    const steps = turn.from === turn.to ? `Step ${turn.from}` : `Steps ${turn.from} to ${turn.to}`;
    return `<li><a href="#step-${turn.to}">${steps}</a>: <b class="t${turn.thread % 4}">${escaped(turn.name)}</b> ${escaped(turnInWords(turn))}.</li>`;
  });
  const causes = failure === null ? [] : causeOf(replayed);
  const why = causes.length === 0 ? '' : `<p class="cause"><b>Why:</b> ${escaped(causes.join(' '))}</p>`;
  const end =
    failure === null ? '' : `<p><b>At step ${failure.step}</b> this is noticed: ${escaped(failure.message)}.</p>`;
  return `<section><h2>What happened</h2>${why}<ol>${turns.join('\n')}</ol>${end}</section>`;
}

function listed(event: TraceEvent, last: number): string {
  const { step, thread, threadName } = event;
  const moves = [
    step > 1 ? `<a href="#step-${step - 1}">← step ${step - 1}</a>` : '',
    step < last ? `<a href="#step-${step + 1}">step ${step + 1} →</a>` : '',
    '<a href="#picture">close</a>',
  ].join('');
  const words = `<span class="soft">${step}</span> <b class="t${thread % 4}">${escaped(threadName)}</b> ${escaped(eventInWords(event))}`;
  return `<li id="step-${step}"><nav>${moves}</nav>${words}${sourceOf(event)}${details(event)}</li>`;
}

function sourceOf({ source }: TraceEvent): string {
  if (source === null) return '';
  const name = source.function === '' ? '' : ` in ${source.function}`;
  return ` <span class="source soft">${escaped(`${source.file}:${source.line}${name}`)}</span>`;
}

function details({ held, pages, blocks, stack }: TraceEvent): string {
  const rows: [string, string][] = [
    ['holds', held.map(({ lock, mode }) => (mode === 'mutex' ? lock : `${lock} (${mode})`)).join(', ') || 'no lock'],
    [
      'pages',
      pages
        .map(({ file, page, content, flags, pins, block }) => {
          const from = block === 0 ? '' : `, of block ${block}`;
          return `${file} page ${page}: ${content}${from} [${flags.join(' ')}${pins > 0 ? ` pins ${pins}` : ''}]`;
        })
        .join('; ') || 'none in the cache',
    ],
    ['blocks', blocks.map(({ block, owner, content }) => `${block} (${owner}): ${content}`).join('; ') || 'none'],
    ['called from', stack.map(({ file, line, function: name }) => `${name} ${file}:${line}`).join(' ← ') || 'outside'],
  ];
  return `<dl class="details">${rows.map(([name, text]) => `<dt>${name}</dt><dd>${escaped(text)}</dd>`).join('')}</dl>`;
}

const LEGEND = `<section class="wide"><h2>How to read it</h2><ul class="legend">
${key('<circle class="symbol" cx="14" cy="9" r="7"/>', 'a step of a thread, up to a place where others may come in')}
${key('<path class="symbol" d="M14 0l9 9l-9 9l-9 -9z"/>', 'a transfer is asked for, or done by the device')}
${key('<circle class="symbol sleeps" cx="14" cy="9" r="7"/>', 'the thread goes to sleep, and must be woken')}
${key('<path class="symbol dies" d="M7 2l14 14m0 -14l-14 14"/>', 'the thread dies')}
${key('<rect class="symbol" x="11" y="0" width="6" height="18" rx="1"/>', 'it has done all it had to do')}
${key('<g class="bar exclusive"><rect x="1" y="2" width="26" height="14" rx="3"/></g>', 'holds a lock, alone')}
${key('<g class="bar shared"><rect x="1" y="2" width="26" height="14" rx="3"/></g>', 'holds a lock, shared with others')}
${key('<g class="bar mutex"><rect x="1" y="2" width="26" height="14" rx="3"/></g>', 'holds a mutex')}
${key('<g class="bar wait"><rect x="1" y="2" width="26" height="14" rx="3"/></g>', 'waits for what the bar names')}
${key('<g class="bar transfer"><rect x="1" y="2" width="26" height="14" rx="3"/></g>', 'the device is at work for it')}
${key('<g class="span data file-0"><rect x="1" y="2" width="26" height="14" rx="3"/></g>', 'data of a file, a colour for each: “victim 1 v2” is page 1 of victim as written the second time')}
${key('<g class="span free"><rect x="1" y="2" width="26" height="14" rx="3"/></g>', 'a page that is not filled yet, or a block that no file owns')}
${key('<g class="failure"><line x1="14" x2="14" y1="0" y2="18"/></g>', 'here something is wrong')}
</ul><p class="soft">A <b>page</b> is a piece of a file in memory, a <b>block</b> is where it lies on the device. A <b>punch</b> makes a hole: it drops the pages and gives up the blocks, and whoever reads there afterwards must see zeros.</p></section>`;

function key(symbol: string, text: string): string {
  return `<li><svg width="28" height="18" aria-hidden="true">${symbol}</svg><span>${text}</span></li>`;
}

function footer({ schedule }: Replayed): string {
  return `<footer>Made by <code>emmental explore --replay=${escaped(schedule)} --html=FILE</code>, which plays the same steps again.</footer>`;
}

function sentence(text: string): string {
  const trimmed = text.trim().replace(/^\p{Ll}/u, (letter) => letter.toUpperCase());
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
