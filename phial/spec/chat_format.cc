#include "phial/spec/chat_format.h"

#include <algorithm>
#include <array>

namespace phial::spec {
namespace {

struct Family {
  std::string_view marker;  // a special token that only this family has
  ChatFormat format;
};

constexpr std::string_view kPhi3 =
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";

constexpr std::string_view kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

constexpr std::string_view kLlama3 =
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
    "+ "
    "message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";

constexpr std::string_view kGemma =
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{% set ns.system = message['content'] + '\n\n' %}{% else %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' + ns.system + "
    "message['content'] | trim + '<end_of_turn>\n' }}{% set ns.system = '' %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";

// Llama 2 and Mistral: markers that are no special tokens; a system message joins the first question.
constexpr std::string_view kLlama2 =
    "{% set ns = namespace(system='') %}{% for message in messages %}{% if message['role'] == 'system' %}"
    "{% set ns.system = '<<SYS>>\n' + message['content'] + '\n<</SYS>>\n\n' %}{% elif message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + ns.system + message['content'] + ' [/INST]' }}{% set ns.system = '' %}{% else %}"
    "{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}";

constexpr std::string_view kPlain =
    "{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] + '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";

constexpr std::array<Family, 5> kFamilies = {{
    {"<|end|>", {"phi3", kPhi3}},
    {"<|im_start|>", {"chatml", kChatMl}},
    {"<|start_header_id|>", {"llama3", kLlama3}},
    {"<start_of_turn>", {"gemma", kGemma}},
    {"</s>", {"llama2", kLlama2}},
}};
constexpr ChatFormat kPlainFormat = {"plain", kPlain};

constexpr std::array<std::string_view, 9> kEnds = {"<|end|>",         "<|endoftext|>", "<|im_end|>",
                                                   "<|eot_id|>",      "<|eom_id|>",    "<|end_of_text|>",
                                                   "<|endofprompt|>", "<end_of_turn>", "</s>"};

}  // namespace

const ChatFormat& chat_format_for(const std::function<bool(std::string_view)>& has_token) {
  const auto found =
      std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& f) { return has_token(f.marker); });
  return found == kFamilies.end() ? kPlainFormat : found->format;
}

std::span<const std::string_view> end_of_answer_tokens() { return kEnds; }

}  // namespace phial::spec
