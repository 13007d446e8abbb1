import streamlit as st

st.title("LogAnalyzer")
