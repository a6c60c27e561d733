#!/bin/bash
CC=g++
PROJECT=jet
LIB_STAMP=1234
