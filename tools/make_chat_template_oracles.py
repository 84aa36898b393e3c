#!/usr/bin/env python3
"""Writes FOLDER/expected.json: what transformers' apply_chat_template makes of conversations with every FOLDER/*.jinja,
and of small templates that go through the language.

    python tools/make_chat_template_oracles.py testdata/chat_templates

Needs transformers and jinja2. An outcome is the rendered text, or null where the template raises an exception. The date
that strftime_now tells is fixed.
"""

import datetime
import json
import sys
from pathlib import Path

import jinja2
from transformers.utils import chat_template_utils

BOS, EOS = "<s>", "</s>"
DATE = datetime.datetime(2024, 7, 26, 12, 0, 0)  # dates only: templates are told noon


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return DATE


def conversation(*turns):
    return [{"role": role, "content": content} for role, content in turns]


CONVERSATIONS = [
    conversation(("user", "Hello")),
    conversation(("system", "You are terse."), ("user", "What is 2+2?")),
    conversation(("user", "Hi"), ("assistant", "Hello! How can I help?"), ("user", "Tell me a joke.")),
    conversation(
        ("system", "Answer in German."),
        ("user", "Hi"),
        ("assistant", "Guten Tag!"),
        ("user", "Wie geht's?"),
        ("assistant", "Gut."),
        ("user", "Schön."),
    ),
    conversation(("user", "  leading and trailing \n\t"), ("assistant", "\n spaces \n"), ("user", "\n")),
    conversation(("user", "Grüße, 世界! \U0001f600 e\u0301 \u00a0x\u3000"), ("assistant", "مرحبا"), ("user", "Ω≈ç√")),
    conversation(("user", "{{ bos_token }} {% if true %} 'quotes' \"double\" \\n \\ backslash")),
    conversation(("user", "<|end|><|user|><|im_end|><|eot_id|></s>[/INST]<end_of_turn>")),
    conversation(("user", "Hi"), ("assistant", "<think>\nhm\n</think>\n\nHello"), ("user", "And now?")),
    conversation(("user", "one"), ("user", "two")),
    conversation(("assistant", "I begin."), ("user", "Then I go on.")),
    conversation(("user", "Ends with the assistant"), ("assistant", "Yes.")),
    conversation(("system", ""), ("user", "")),
    conversation(("system", "Only a system message.")),
    conversation(("user", "Hello"), ("system", "Late system message."), ("user", "Go on.")),
    conversation(("user", "line\r\nbreaks\rof all kinds\n\nend"), ("assistant", "ok\r\n"), ("user", "a\tb")),
]


# The language by itself: small templates, rendered over the third conversation.
SNIPPETS = [
    "{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }}",
    "{{ 1.5 }} {{ 2.0 * 3 }} {{ 10 / 5 }} {{ 1e20 }} {{ 0.00001 }}",
    "{{ 'a' + 'b' ~ 1 ~ none ~ true }} {{ 'ab' * 3 }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ true == 1 }}",
    "{{ 'b' in 'abc' }} {{ 'x' not in ['y'] }} {{ 'role' in messages[0] }} {{ 2 in [1, 2] }}",
    "{{ not true or true and false }} {{ 'x' or 'y' }} {{ '' or 'y' }} {{ 'x' and 'y' }} {{ none and 1 }}",
    "{{ 'yes' if messages else 'no' }}{{ 'never' if false }}{{ 1 if 0 else 2 if 0 else 3 }}",
    "{{ messages[0].content }} {{ messages[-1]['content'] }} {{ messages[0]['none'] }} {{ messages[0].none }}",
    "{{ 'hello'[1] }} {{ 'hello'[-1] }} {{ 'hello'[1:3] }} {{ 'hello'[::-1] }} {{ 'hello'[:-1] }} {{ 'hello'[10:] }}",
    "{{ [1, 2, 3, 4][1:] }} {{ [1, 2, 3, 4][::2] }} {{ [1, 2, 3][::-1] }} {{ (1, 2) }} {{ (1,) }} {{ () }} {{ [] }}",
    "{{ {'a': 1, 'b': [true, none]} }} {{ {'a': 1}.a }} {{ {'a': 1}['b'] is defined }}",
    "{{ {'a': 1, 'b': 2}.items() | list }} {{ {'a': 1}.keys() | list }} {{ {'a': 1}.get('x', 5) }} {{ {'a': 1}.get('x') }}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for k in {'x': 1} %}{{ k }}{% endfor %}",
    "{% for x in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}"
    "{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}",
    "{% for x in [] %}never{% else %}empty{% endfor %}{% for x in [1, 2, 3, 4] if x % 2 == 0 %}{{ x }}{{ loop.length }}{% endfor %}",
    "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for c in 'añ世' %}[{{ c }}]{% endfor %} {{ range(2, 8, 3) | list }} {{ range(3, 0, -1) | list }}",
    "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(n=0, s='') %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }}{{ ns.s }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% if true %}{% set c = 3 %}{% endif %}{{ c }}",
    "{% set x %}a{{ 1 + 1 }}b{% endset %}{{ x | upper }}{% set y | trim %}  z  {% endset %}[{{ y }}]",
    "{% macro greet(name, mark='!') %}Hello {{ name }}{{ mark }}{% endmacro %}{{ greet('A') }} {{ greet('B', '?') }} {{ greet(mark='.', name='C') }}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% filter upper %}abc{{ 'd' }}{% endfilter %}{% generation %}g{% endgeneration %}",
    "{{ '  a b ' | trim }}|{{ ' x ' | upper }}|{{ 'AbC' | lower }}|{{ 'ab cd' | title }}|{{ 'abc DEF' | capitalize }}|{{ 'añ' | length }}",
    "{{ x | default('d') }} {{ '' | default('d') }} {{ '' | default('d', true) }} {{ none | default('d') }} {{ x is defined }}",
    "{{ [1, 'a', none] | join('-') }} {{ ['a', 'b'] | join }} {{ messages | map(attribute='role') | join(', ') }}",
    "{{ ['a ', ' b'] | map('trim') | join('|') }} {{ 'abc' | list }} {{ 'abc' | first }} {{ [1, 2] | last }} {{ 'abc' | reverse }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', '==', 'user') | map(attribute='content') | list }}",
    "{{ [0, 1, '', 'a'] | select | list }} {{ [1, 2, 3] | reject('odd') | list }}",
    "{{ 'a-b-a' | replace('a', 'X') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ 'abc'.replace('b', '') }} {{ 'abc' | replace('', '-') }}",
    "{{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ '3.7' | int }} {{ 3.9 | int }} {{ '2.5' | float }} {{ -3 | abs }} {{ 5 | string + 'x' }}",
    "{{ messages | tojson }}",
    "{{ {'a': [1, 2.5, true, none, 'x\"y\\\\z\n'], 'ü': {}} | tojson }} {{ 'ü' | tojson(ensure_ascii=true) }}",
    "{{ {'b': [1, {}], 'a': []} | tojson(indent=2) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ [1, 2] | tojson(separators=(',', ':')) }}",
    "{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(1, blank=true) }}",
    "{{ ' a b  c '.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a b c'.split(' ', 1) }} {{ 'a b c'.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'a b c'.rsplit(none, 1) }}",
    "{{ 'a\nb\r\nc'.splitlines() }} {{ 'xxabxx'.strip('x') }} {{ 'xxab'.lstrip('x') }} {{ 'abxx'.rstrip('xb') }} {{ '-'.join(['a', 'b']) }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('b') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abcb'.count('b') }} {{ 'añb'.find('b') }} {{ 'abc'.find('z') }}",
    "{{ 'Abc'.upper() }} {{ 'Abc'.lower() }} {{ 'ab cd'.title() }} {{ 'aBC'.capitalize() }} {{ '12'.isdigit() }} {{ ' '.isspace() }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }}",
    "{{ 1 is number }} {{ 1 is integer }} {{ 1.0 is float }} {{ true is boolean }} {{ true is integer }} {{ 'a' is string }} {{ none is none }} {{ 1 is none }}",
    "{{ [] is iterable }} {{ {} is mapping }} {{ 'a' is sequence }} {{ 1 is iterable }} {{ x is undefined }} {{ x is not defined }} {{ true is true }} {{ 1 is true }} {{ false is false }}",
    "{{ 3 is odd }} {{ 3 is even }} {{ 9 is divisibleby 3 }} {{ 1 is eq 1 }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 'a' is in ['a'] }} {{ 'abc' is lower }} {{ 'ABC' is upper }}",
    "{{ not x is defined }} {{ not 'a' is string or true }} {{ 'a' ~ 'b' is string }} {{ -1 | abs }} {{ 1 + '2' | int }}",
    "a\n  {% if true %}\n    b\n  {% endif %}\nc\n",
    "a\n  {%- if true -%}\n    b\n  {%- endif -%}\nc\n\n",
    "a  {%+ if true %} b {% endif +%}\n c\n  {%+ if true +%}\n d {% endif %}",
    "  {# comment #}\nx {#- y -#} z\n{# a\n b #}w",
    "{{- ' a ' -}}  \n b {{ 1 }}\n{{ 2 }}\n",
    "{% raw %}{{ x }}{% if %}{% endraw %} {%- raw -%} y {%- endraw -%} z",
    "{{ 'tab\\tnew\\nline \\x41 \\u00e9 \\\\ \\' \\d' }}{{ \"it's\" 'joined' }}",
    "{{ {'a': {'b': 'c'}}.a.b }}{{ [[1, 2], [3]][0][1] }}{{ [1, 2].0 }}{{ {'x': {'y': {}}}}}",
    "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %j %p %I %y %%') }} {{ strftime_now('%-d') }}",
    "{{ tools is none }} {{ tools is defined }} {{ documents }} {{ add_generation_prompt }} {{ bos_token ~ eos_token }} {{ foo }} {{ foo is defined }}",
    "{{ dict(a=1, b='x') }} {{ [1, 2] + [3] }} {{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1.0} }} {{ none == none }} {{ [1].index(1) }} {{ [1, 1].count(1) }}",
    "{{ undefined_thing.x }}",
    "{{ 'a' + 1 }}",
    "{{ 'a' + none }}",
    "{{ 1 < 'a' }}",
    "{{ nothing() }}",
    "{{ 'a' | no_such_filter }}",
    "{{ raise_exception('stop here') }}",
    "{% if true %}",
    "{{ 1 +",
    "{{ 1 / 0 }}",
    "{% for x in 5 %}{% endfor %}",
    "{% set ns = namespace() %}{{ ns.missing is defined }}{% set q.x = 1 %}",
]


def render(template, messages, add_generation_prompt):
    try:
        text, _ = chat_template_utils.render_jinja_template(
            conversations=[messages],
            chat_template=template,
            add_generation_prompt=add_generation_prompt,
            bos_token=BOS,
            eos_token=EOS,
        )
        return text[0]
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError):
        return None


def main():
    folder = Path(sys.argv[1])
    chat_template_utils.datetime = FixedDate
    outcomes = {}
    for path in sorted(folder.glob("*.jinja")):
        template = path.read_bytes().decode()
        outcomes[path.stem] = [
            [render(template, messages, generation) for generation in (True, False)] for messages in CONVERSATIONS
        ]
    document = {
        "oracle": "transformers.utils.chat_template_utils.render_jinja_template",
        "bos_token": BOS,
        "eos_token": EOS,
        "date": DATE.strftime("%Y-%m-%d"),
        "conversations": CONVERSATIONS,
        "snippets": [[source, render(source, CONVERSATIONS[2], True)] for source in SNIPPETS],
        "outcomes": outcomes,
    }
    (folder / "expected.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
