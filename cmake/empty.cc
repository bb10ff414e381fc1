// What is compiled for the sake of its precompiled headers.
int main() { return 0; }
