"""The judge's process: runs the test and drives the program through proxies."""
