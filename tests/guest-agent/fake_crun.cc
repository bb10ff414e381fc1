// Runs the script beside it, by its first argument's name with ".sh": crun has to be a program of
// its own, as the agent runs a copy of it that has no name.
#include <unistd.h>

#include <string>
#include <vector>

int main(int /*argc*/, char** argv) {
  std::string shell = "sh";
  std::string script = std::string(argv[0]) + ".sh";
  std::vector<char*> words{shell.data(), script.data()};
  for (char** word = argv + 1; *word != nullptr; ++word) words.push_back(*word);
  words.push_back(nullptr);
  ::execv("/bin/sh", words.data());
  return 127;
}
