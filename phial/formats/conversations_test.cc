#include "phial/formats/conversations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "phial/base/temp_folder_for_test.h"

namespace phial::formats {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// "role: text" of each turn.
std::vector<std::string> spoken(const std::vector<Turn>& turns) {
  std::vector<std::string> lines;
  lines.reserve(turns.size());
  for (const Turn& turn : turns) lines.push_back(turn.role + ": " + turn.text);
  return lines;
}

class Conversations : public testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  std::vector<std::string> turns_of(const std::string& row) const {
    const auto rows = read_conversations(write("rows.jsonl", row));
    EXPECT_TRUE(rows) << rows.error().text();
    return rows ? spoken(rows->at(0).turns) : std::vector<std::string>();
  }
  Preference pair_of(const std::string& row) const {
    const auto rows = read_preferences(write("rows.jsonl", row));
    EXPECT_TRUE(rows) << rows.error().text();
    return rows ? rows->at(0) : Preference();
  }

  // On its third line the file has what is wrong.
  void expect_refused(const std::string& row, Code code, const std::string& reason) const {
    const std::string fine = R"({"prompt": "a", "completion": "b"})";
    expect_error(read_conversations(write("rows.jsonl", fine + "\n\n" + row)), code, reason);
  }
  void expect_pair_refused(const std::string& row, Code code, const std::string& reason) const {
    const std::string fine = R"({"prompt": "a", "chosen": "b", "rejected": "c"})";
    expect_error(read_preferences(write("rows.jsonl", fine + "\n\n" + row)), code, reason);
  }

  TempFolder folder_;

 private:
  template <class Rows>
  void expect_error(const Result<Rows>& rows, Code code, const std::string& reason) const {
    ASSERT_FALSE(rows) << reason;
    EXPECT_EQ(rows.error().code, code) << rows.error().text();
    EXPECT_THAT(rows.error().message, StartsWith((folder_ / "rows.jsonl").string() + ", line 3: "));
    EXPECT_THAT(rows.error().message, HasSubstr(reason));
    EXPECT_FALSE(rows.error().remedy.empty());
  }
};

TEST_F(Conversations, MessagesAreTheTurns) {
  EXPECT_THAT(turns_of(R"({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi\n"}, )"
                       R"({"role": "assistant", "content": " Hello.", "tool_calls": null}, )"
                       R"({"role": "user", "content": "caf\u00e9?"}]})"),
              ElementsAre("system: S", "user: Hi\n", "assistant:  Hello.", "user: caf\xC3\xA9?"));
}

TEST_F(Conversations, ConversationsOfShareGptAreTheTurns) {
  EXPECT_THAT(turns_of(R"({"conversations": [{"from": "human", "value": "1"}, {"from": "gpt", "value": "2"}, )"
                       R"({"from": "user", "value": "3"}, {"from": "assistant", "value": "4"}], "system": "S"})"),
              ElementsAre("system: S", "user: 1", "assistant: 2", "user: 3", "assistant: 4"));
  EXPECT_THAT(turns_of(R"({"conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "1"}, )"
                       R"({"from": "gpt", "value": "2"}]})"),
              ElementsAre("system: S", "user: 1", "assistant: 2"));
}

TEST_F(Conversations, AnInstructionAndItsInputAreOneTurn) {
  EXPECT_THAT(turns_of(R"({"instruction": "Add.", "input": "1, 2", "output": "3", "system": "Count."})"),
              ElementsAre("system: Count.", "user: Add.\n\n1, 2", "assistant: 3"));
  EXPECT_THAT(turns_of(R"({"instruction": "Sing.", "input": "", "output": "La."})"),
              ElementsAre("user: Sing.", "assistant: La."));
  EXPECT_THAT(turns_of(R"({"instruction": "", "input": "Sing.", "output": "La."})"),
              ElementsAre("user: Sing.", "assistant: La."));
  EXPECT_THAT(turns_of(R"({"instruction": "Sing.", "input": null, "output": "La."})"),
              ElementsAre("user: Sing.", "assistant: La."));
}

TEST_F(Conversations, APromptAndItsCompletionAreTextsOrTurns) {
  EXPECT_THAT(turns_of(R"({"prompt": "Hi", "completion": "Hello."})"), ElementsAre("user: Hi", "assistant: Hello."));
  EXPECT_THAT(turns_of(R"({"prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}], )"
                       R"("completion": [{"role": "assistant", "content": "Hello."}]})"),
              ElementsAre("system: S", "user: Hi", "assistant: Hello."));
  EXPECT_THAT(turns_of(R"({"prompt": "Hi", "completion": {"role": "assistant", "content": "Hello."}})"),
              ElementsAre("user: Hi", "assistant: Hello."));
}

TEST_F(Conversations, TheFirstOfSeveralFieldsCounts) {
  EXPECT_THAT(turns_of(R"({"prompt": "x", "messages": [{"role": "assistant", "content": "Hello."}]})"),
              ElementsAre("assistant: Hello."));
  EXPECT_THAT(turns_of(R"({"prompt": "x", "instruction": "Hi", "output": "Hello.", "messages": null})"),
              ElementsAre("user: Hi", "assistant: Hello."));
}

TEST_F(Conversations, AnEmptySystemTextIsLeftOut) {
  EXPECT_THAT(turns_of(R"({"instruction": "Hi", "output": "Hello.", "system": ""})"),
              ElementsAre("user: Hi", "assistant: Hello."));
  EXPECT_THAT(turns_of(R"({"messages": [{"role": "system", "content": ""}, {"role": "assistant", "content": "Hi"}]})"),
              ElementsAre("assistant: Hi"));
  EXPECT_THAT(turns_of(R"({"prompt": {"role": "system", "content": ""}, "completion": "Hi", "system": "S"})"),
              ElementsAre("system: S", "assistant: Hi"));
}

TEST_F(Conversations, LinesAndItemsStayInTheirOrder) {
  const std::string a = R"({"prompt": "a", "completion": "1"})", b = R"({"instruction": "b", "output": "2"})";
  for (const fs::path& path :
       {write("rows.jsonl", "\n" + a + "\r\n  \n" + b), write("rows.json", "[" + a + ",\n\n" + b + "]\n")}) {
    const auto rows = read_conversations(path);
    ASSERT_TRUE(rows) << rows.error().text();
    ASSERT_EQ(rows->size(), 2);
    EXPECT_THAT(spoken((*rows)[0].turns), ElementsAre("user: a", "assistant: 1"));
    EXPECT_THAT(spoken((*rows)[1].turns), ElementsAre("user: b", "assistant: 2"));
  }
}

TEST_F(Conversations, MalformedJsonIsAnErrorThatNamesTheLine) {
  for (const char* row : {"not json", R"({"prompt": "cut)", "{\"prompt\": \"\xFF\", \"completion\": \"b\"}"}) {
    expect_refused(row, Code::kCorrupt, "malformed JSON");
  }
  expect_refused(R"(["prompt", "completion"])", Code::kCorrupt, "not a JSON object");
}

TEST_F(Conversations, ValuesOfTheWrongKindAreErrorsThatNameThem) {
  expect_refused(R"({"messages": "Hi"})", Code::kCorrupt, "'messages' is not a list");
  expect_refused(R"({"conversations": {"from": "gpt", "value": "Hi"}})", Code::kCorrupt,
                 "'conversations' is not a list");
  expect_refused(R"({"messages": [{"role": "user", "content": "Hi"}, "Hello"]})", Code::kCorrupt,
                 "turn 2 of 'messages'");
  expect_refused(R"({"messages": [{"role": 1, "content": "Hi"}]})", Code::kCorrupt, "'role'");
  expect_refused(R"({"messages": [{"content": "Hi"}]})", Code::kCorrupt, "neither a 'role' nor a 'from'");
  expect_refused(R"({"messages": [{"role": "user"}]})", Code::kCorrupt, "has no 'content'");
  expect_refused(R"({"messages": [{"role": "user", "content": null}]})", Code::kCorrupt, "has no 'content'");
  expect_refused(R"({"messages": [{"role": "user", "content": 5}]})", Code::kCorrupt, "'content' is not a text");
  expect_refused(R"({"conversations": [{"from": "gpt", "content": "Hi"}]})", Code::kCorrupt, "has no 'value'");
  expect_refused(R"({"prompt": 5, "completion": "b"})", Code::kCorrupt, "'prompt' is not");
  expect_refused(R"({"prompt": "a", "completion": true})", Code::kCorrupt, "'completion' is not");
  expect_refused(R"({"instruction": {}, "output": "b"})", Code::kCorrupt, "'instruction' is not a text");
  expect_refused(R"({"instruction": "a", "input": 5, "output": "b"})", Code::kCorrupt, "'input' is not a text");
  expect_refused(R"({"instruction": "a", "output": "b", "system": 5})", Code::kCorrupt, "'system' is not a text");
}

TEST_F(Conversations, OtherRolesAndToolCallsAreErrors) {
  expect_refused(R"({"messages": [{"role": "tool", "content": "5"}]})", Code::kUnsupported, "'tool' (turn 1 of");
  expect_refused(R"({"conversations": [{"from": "function_call", "value": "{}"}]})", Code::kUnsupported,
                 "'function_call'");
  expect_refused(R"({"conversations": [{"from": "a\nb", "value": "x"}]})", Code::kUnsupported, "'a\\x0ab'");
  expect_refused(R"({"messages": [{"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]}]})",
                 Code::kUnsupported, "calls a tool");
}

TEST_F(Conversations, ContentThatIsNotTextIsAnError) {
  expect_refused(R"({"messages": [{"role": "user", "content": [{"type": "image", "url": "x.png"}]}]})",
                 Code::kUnsupported, "'content' is a list of parts");
}

TEST_F(Conversations, ARowWithoutAnAnswerIsAnError) {
  for (const char* row :
       {R"({"messages": []})", R"({"messages": [{"role": "user", "content": "Hi"}]})",
        R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " \n"}]})",
        R"({"prompt": "Hi", "completion": ""})", R"({"instruction": "Hi", "output": "", "system": "S"})"}) {
    expect_refused(row, Code::kInvalid, "no assistant's turn with text");
  }
  expect_refused(R"({"instruction": "Hi", "completion": "Hello."})", Code::kInvalid, "has no 'output'");
  expect_refused(R"({"prompt": "Hi", "chosen": "a", "rejected": "b"})", Code::kInvalid, "has no 'completion'");
  expect_refused(R"({"text": "Hi"})", Code::kInvalid, "has no 'messages'");
  expect_refused("{}", Code::kInvalid, "has no 'messages'");
}

TEST_F(Conversations, TwoSystemTextsAreAnError) {
  expect_refused(R"({"messages": [{"role": "system", "content": "a"}, {"role": "assistant", "content": "b"}], )"
                 R"("system": "c"})",
                 Code::kInvalid, "'system' beside a system turn");
}

TEST_F(Conversations, AnItemThatCannotBeReadIsNamedByItsNumber) {
  const auto rows = read_conversations(write("rows.json", R"([{"prompt": "a", "completion": "b"}, {"prompt": "c"}])"));
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code, Code::kInvalid);
  EXPECT_EQ(rows.error().message, (folder_ / "rows.json").string() + ", item 2: has no 'completion'");
}

TEST_F(Conversations, AJsonFileThatIsNotAnArrayIsAnErrorThatSaysHowLinesAreNamed) {
  const std::string row = R"({"prompt": "a", "completion": "b"})";
  for (const std::string& text : {row, row + "\n" + row, "[" + row, std::string()}) {
    const auto rows = read_conversations(write("rows.json", text));
    ASSERT_FALSE(rows) << text;
    EXPECT_EQ(rows.error().code, Code::kCorrupt);
    EXPECT_THAT(rows.error().message, StartsWith((folder_ / "rows.json").string() + ": "));
    EXPECT_THAT(rows.error().remedy, HasSubstr(".jsonl"));
  }
}

TEST_F(Conversations, AFileWithoutRowsIsAnError) {
  for (const fs::path& path : {write("a.jsonl", ""), write("b.jsonl", "\n \n"), write("c.json", "[]")}) {
    const auto rows = read_conversations(path);
    const auto pairs = read_preferences(path);
    ASSERT_FALSE(rows || pairs) << path;
    EXPECT_EQ(rows.error().code, Code::kInvalid);
    EXPECT_EQ(pairs.error().code, Code::kInvalid);
    EXPECT_EQ(rows.error().message, path.string() + ": has no rows");
  }
}

TEST_F(Conversations, FilesOfOtherNamesAndMissingOnesAreErrors) {
  const auto other = read_conversations(write("rows.jsonl.gz", "\x1F\x8B"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kUnsupported);
  EXPECT_THAT(other.error().message, HasSubstr("rows.jsonl.gz"));
  const auto missing = read_preferences(folder_ / "none.jsonl");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
}

TEST_F(Conversations, APreferenceIsAPromptAndTwoAnswers) {
  const Preference texts = pair_of(R"({"prompt": "Hi", "chosen": "Hello.", "rejected": "", "system": "S"})");
  EXPECT_THAT(spoken(texts.prompt), ElementsAre("system: S", "user: Hi"));
  EXPECT_THAT(spoken(texts.chosen), ElementsAre("assistant: Hello."));
  EXPECT_THAT(spoken(texts.rejected), ElementsAre("assistant: "));
  const Preference lists =
      pair_of(R"({"prompt": [{"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "1"}, )"
              R"({"role": "user", "content": "2"}, {"role": "assistant", "content": "3"}], )"
              R"("rejected": {"role": "assistant", "content": "4"}})");
  EXPECT_THAT(spoken(lists.prompt), ElementsAre("user: Hi"));
  EXPECT_THAT(spoken(lists.chosen), ElementsAre("assistant: 1", "user: 2", "assistant: 3"));
  EXPECT_THAT(spoken(lists.rejected), ElementsAre("assistant: 4"));
}

TEST_F(Conversations, AnswersThatRepeatThePromptAreTakenWithoutIt) {
  const Preference read = pair_of(
      R"({"prompt": "Hi", "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "1"}], )"
      R"("rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "2"}]})");
  EXPECT_THAT(spoken(read.prompt), ElementsAre("user: Hi"));
  EXPECT_THAT(spoken(read.chosen), ElementsAre("assistant: 1"));
  EXPECT_THAT(spoken(read.rejected), ElementsAre("assistant: 2"));
}

TEST_F(Conversations, APreferenceHasItsPromptInConversationsOrAnInstruction) {
  const Preference turns =
      pair_of(R"({"conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "Hi"}], )"
              R"("chosen": {"from": "gpt", "value": "1"}, "rejected": {"from": "gpt", "value": "2"}})");
  EXPECT_THAT(spoken(turns.prompt), ElementsAre("system: S", "user: Hi"));
  EXPECT_THAT(spoken(turns.chosen), ElementsAre("assistant: 1"));
  EXPECT_THAT(spoken(turns.rejected), ElementsAre("assistant: 2"));
  const Preference instruction = pair_of(R"({"instruction": "Add.", "input": "1, 2", "chosen": "3", "rejected": "4"})");
  EXPECT_THAT(spoken(instruction.prompt), ElementsAre("user: Add.\n\n1, 2"));
  EXPECT_THAT(spoken(instruction.chosen), ElementsAre("assistant: 3"));
  EXPECT_THAT(spoken(instruction.rejected), ElementsAre("assistant: 4"));
}

TEST_F(Conversations, ThePromptOfTwoListsIsTheirCommonStartUpToAUsersTurn) {
  const Preference read = pair_of(
      R"({"chosen": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "rejected": )"
      R"([{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "assistant", "content": "3"}]})");
  EXPECT_THAT(spoken(read.prompt), ElementsAre("user: 1"));
  EXPECT_THAT(spoken(read.chosen), ElementsAre("assistant: 2"));
  EXPECT_THAT(spoken(read.rejected), ElementsAre("assistant: 2", "assistant: 3"));
}

TEST_F(Conversations, DialoguesOfTheHhSetAreTurnsAfterTheirCommonStart) {
  const Preference read =
      pair_of(R"({"chosen": "\n\nHuman: Hi\n\nAssistant:  Hello.\n\nA b\n\n\n\nHuman: Human: c\n\nAssistant: 1", )"
              R"("rejected": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nA b\n\nHuman: Human: c\n\nAssistant: "})");
  EXPECT_THAT(spoken(read.prompt), ElementsAre("user: Hi", "assistant: Hello.\n\nA b", "user: Human: c"));
  EXPECT_THAT(spoken(read.chosen), ElementsAre("assistant: 1"));
  EXPECT_THAT(spoken(read.rejected), ElementsAre("assistant: "));
}

TEST_F(Conversations, TextsWithoutAPromptAreAnError) {
  for (const char* text :
       {"Hello.", "", "Human: Hi\\n\\nAssistant: Hello.", "x\\n\\nHuman: Hi\\n\\nAssistant: Hello."}) {
    expect_pair_refused(std::string(R"({"chosen": ")") + text + R"(", "rejected": "b"})", Code::kInvalid, "no prompt");
  }
}

TEST_F(Conversations, APreferenceWithoutBothAnswersIsAnError) {
  expect_pair_refused(R"({"prompt": "a", "rejected": "b"})", Code::kInvalid, "has no 'chosen'");
  expect_pair_refused(R"({"prompt": "a", "chosen": "b", "rejected": null})", Code::kInvalid, "has no 'rejected'");
  expect_pair_refused(R"({"prompt": "a", "chosen": "b", "rejected": 5})", Code::kCorrupt, "'rejected' is not");
  expect_pair_refused(R"({"prompt": "a", "chosen": ["b"], "rejected": "c"})", Code::kCorrupt, "turn 1 of 'chosen'");
  expect_pair_refused("[]", Code::kCorrupt, "not a JSON object");
  expect_pair_refused(R"({"prompt": "a", "chosen": {"role": "tool", "content": "b"}, "rejected": "c"})",
                      Code::kUnsupported, "'tool'");
}

TEST_F(Conversations, APromptThatDoesNotEndWithAUsersTurnIsAnError) {
  for (const char* prompt : {R"([])", R"([{"role": "system", "content": "S"}])",
                             R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])"}) {
    expect_pair_refused(std::string(R"({"prompt": )") + prompt + R"(, "chosen": "c", "rejected": "d"})", Code::kInvalid,
                        "prompt that does not end with a user's turn");
  }
  expect_pair_refused(R"({"chosen": [{"role": "assistant", "content": "a"}], )"
                      R"("rejected": [{"role": "assistant", "content": "b"}]})",
                      Code::kInvalid, "prompt that does not end with a user's turn");
}

TEST_F(Conversations, AnswersThatAreNotTheAssistantsAreErrors) {
  for (const char* turns : {R"([])", R"([{"role": "user", "content": "b"}])",
                            R"([{"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}])",
                            R"([{"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}])"}) {
    expect_pair_refused(std::string(R"({"prompt": "a", "chosen": )") + turns + R"(, "rejected": "d"})", Code::kInvalid,
                        "'chosen', without the prompt,");
    expect_pair_refused(std::string(R"({"prompt": "a", "rejected": )") + turns + R"(, "chosen": "d"})", Code::kInvalid,
                        "'rejected', without the prompt,");
  }
}

TEST_F(Conversations, AnswersThatAreTheSameAreAnError) {
  expect_pair_refused(R"({"prompt": "a", "chosen": "b", "rejected": {"from": "gpt", "value": "b"}})", Code::kInvalid,
                      "the same");
  const std::string dialogue = R"("\n\nHuman: Hi\n\nAssistant: Hello.")";
  expect_pair_refused(R"({"chosen": )" + dialogue + R"(, "rejected": )" + dialogue + "}", Code::kInvalid, "the same");
}

TEST_F(Conversations, ImagesAreFilesAsTheRowNamesThem) {
  const auto rows = read_conversations(
      write("rows.jsonl", R"({"prompt": "<|image_1|>", "completion": "a", "images": ["a.png", "b.png"]})"));
  ASSERT_TRUE(rows) << rows.error().text();
  EXPECT_THAT(rows->at(0).images, ElementsAre("a.png", "b.png"));
  EXPECT_THAT(pair_of(R"({"prompt": "a", "chosen": "b", "rejected": "c", "images": ["a.png"]})").images,
              ElementsAre("a.png"));
  for (const char* images : {R"("a.png")", "[1]", R"([""])", "{}"}) {
    expect_pair_refused(std::string(R"({"prompt": "a", "chosen": "b", "rejected": "c", "images": )") + images + "}",
                        Code::kCorrupt, "'images'");
  }
}

}  // namespace
}  // namespace phial::formats
